"""Writes TensorFlow Serving's `--ssl_config_file` (an SSLConfig in text format) from a folder with a certificate."""

import json
import pathlib
import sys

folder, target = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
names = {"server_key": "tls.key", "server_cert": "tls.crt"}
is_mutual = "--mutual" in sys.argv
if is_mutual:
    names["custom_ca"] = "ca.crt"
# A PEM text is ASCII: its JSON string is a string of the text format, too.
lines = [f"{field}: {json.dumps((folder / file).read_text())}" for field, file in names.items()]
target.touch(mode=0o600)
target.write_text("\n".join([*lines, f"client_verify: {str(is_mutual).lower()}", ""]))
