#!/bin/sh
# Write server.properties from KAFKA_*, format the folder of a new broker, and become the broker.
# -f: the star of the class path is Java's.
set -euf
properties=/tmp/server.properties
env | sed -n 's/^KAFKA_//p' | while IFS='=' read -r name value; do
    case $name in HEAP_OPTS | OPTS | JVM_PERFORMANCE_OPTS | LOG4J_OPTS | CLUSTER_ID) continue ;; esac
    # As in the official image: ___ is a hyphen, __ an underscore, _ a dot.
    key=$(printf %s "$name" | tr '[:upper:]' '[:lower:]' | sed 's/___/-/g; s/__/%/g; s/_/./g; s/%/_/g')
    printf '%s=%s\n' "$key" "$value"
done > "$properties"
java="java ${KAFKA_HEAP_OPTS-} -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp /opt/kafka/libs/*"
$java kafka.tools.StorageTool format --ignore-formatted -t "${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" -c "$properties"
exec $java kafka.Kafka "$properties"
