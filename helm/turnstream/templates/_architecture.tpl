{{/* What the code fixes: who calls whom, and where everybody listens. tests/helm compares it with the code. */}}

{{/* Callees of each service. A conversation pod asks another for a conversation that the other owns. */}}
{{- define "turnstream.asks" -}}
nlu: [model-server]
selection: [model-server]
policy: [model-server]
action: []
conversation: [nlu, selection, policy, action, conversation]
gateway: [nlu, selection, conversation]
{{- end -}}

{{/* Services that use the turn log. */}}
{{- define "turnstream.loggers" -}}
[conversation, gateway]
{{- end -}}

{{- define "turnstream.ports" -}}
grpc: 50051
health: 50052
metrics: 9464
rest: 5005
model: 8500
modelRest: 8501
kafka: 9092
kafkaController: 9093
{{- end -}}

{{/* What proxies and meshes are told of a gRPC port: HTTP/2 in plaintext, or nothing where it is TLS. */}}
{{- define "turnstream.grpcProtocol" -}}
{{- $values := .root.Values -}}
{{- $isTls := $values.tls.enabled -}}
{{- if eq .component "gateway" -}}
{{- $isTls = $values.gateway.tls.existingSecret -}}
{{- else if eq .component "model-server" -}}
{{- $isTls = $values.modelServer.tls -}}
{{- end -}}
{{- if not $isTls -}}
appProtocol: kubernetes.io/h2c
{{- end -}}
{{- end -}}

{{- define "turnstream.paths" -}}
bundles: /bundles
models: /models
plan: /etc/turnstream/rollout
endpoints: /etc/turnstream/endpoints
tls: /etc/turnstream/tls
gatewayTls: /etc/turnstream/gateway-tls
channels: /etc/turnstream/channels
kafkaTls: /etc/turnstream/kafka-tls
project: /project
{{- end -}}

{{/* Services of the map whose model server is called `host:port`; empty where there is none. */}}
{{- define "turnstream.modelServerAddress" -}}
{{- $ports := fromYaml (include "turnstream.ports" .) -}}
{{- if eq .Values.modelServer.kind "external" -}}
{{ required "modelServer.address: say where the external model server is" .Values.modelServer.address }}
{{- else if ne .Values.modelServer.kind "none" -}}
dns:///{{ include "turnstream.host" (dict "root" . "component" "model-server") }}:{{ int $ports.model }}
{{- end -}}
{{- end -}}

{{- define "turnstream.hasModelServer" -}}
{{- if has .Values.modelServer.kind (list "tensorflow-serving" "local") }}true{{ end -}}
{{- end -}}

{{- define "turnstream.kafkaServers" -}}
{{- if .Values.kafka.development.enabled -}}
{{- $ports := fromYaml (include "turnstream.ports" .) -}}
{{ include "turnstream.host" (dict "root" . "component" "kafka") }}:{{ int $ports.kafka }}
{{- else -}}
{{ required "kafka.bootstrapServers: say where the brokers are, or set kafka.development.enabled" .Values.kafka.bootstrapServers }}
{{- end -}}
{{- end -}}
