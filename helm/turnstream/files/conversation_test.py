"""Says each message to the assistant at a gateway, in one conversation; fails where one is not answered.

One that it is told to try later is sent again.
"""

import json
import pathlib
import ssl
import sys
import time
import urllib.error
import urllib.request
import uuid

gateway, *messages = sys.argv[1:]
sender = f"helm-test-{uuid.uuid4().hex}"
certificate = pathlib.Path("/etc/turnstream/gateway-tls/tls.crt")
context = ssl.create_default_context(cafile=str(certificate)) if certificate.exists() else None
if context is not None:
    # The certificate bears the name that clients outside use, not the service's; it must be this very one.
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
for message in messages:
    body = json.dumps({"sender": sender, "message": message, "message_id": uuid.uuid4().hex}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{gateway}/webhooks/rest/webhook", body, headers)
    while True:
        try:
            with urllib.request.urlopen(request, timeout=90, context=context) as answer:
                replies = json.load(answer)
            break
        except urllib.error.HTTPError as error:
            # A message that is sent again under its id is not answered twice; the pod's deadline ends this.
            if error.code != 503:
                raise
            print(f"try later: {error.read().decode()}", flush=True)
            time.sleep(1)
    print(f"> {message}")
    for reply in replies:
        print(f"< {reply.get('text', json.dumps(reply))}")
    if not replies:
        sys.exit(f"no reply to {message!r}")
print("The assistant answered everything.")
