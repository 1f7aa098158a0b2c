{{/* Environment of a service's container. (dict "root" $ "name" SERVICE "service" VALUES) */}}

{{- define "turnstream.environment" -}}
{{- $root := .root -}}
{{- $values := .root.Values -}}
{{- $ports := fromYaml (include "turnstream.ports" .root) -}}
{{- $paths := fromYaml (include "turnstream.paths" .root) -}}
{{- $variables := fromYaml (include "turnstream.settings" (omit (mustMergeOverwrite (deepCopy $values.settings) .service.settings) "model_server")) -}}
{{- $variables = merge (fromYaml (include "turnstream.serverEnvironment" .)) $variables -}}
{{- $_ := set $variables "TURNSTREAM_BUNDLES_FOLDER" $paths.bundles -}}
{{- $_ := set $variables "TURNSTREAM_BUNDLES_GRACE_S" $values.rollout.graceSeconds -}}
{{- if $values.rollout.stable -}}
{{- $_ := set $variables "TURNSTREAM_BUNDLES_PLAN" (printf "%s/rollout.yaml" $paths.plan) -}}
{{- end -}}
{{- range index (fromYaml (include "turnstream.asks" .root)) .name -}}
{{- $address := ternary (include "turnstream.modelServerAddress" $root) (printf "dns:///%s:%d" (include "turnstream.headless" (dict "root" $root "component" .)) (int $ports.grpc)) (eq . "model-server") -}}
{{- if and $address (ne . $.name) -}}
{{- $_ := set $variables (printf "TURNSTREAM_ADDRESS_%s" (. | replace "-" "_" | upper)) $address -}}
{{- end -}}
{{- end -}}
{{- if has .name (fromYamlArray (include "turnstream.loggers" .root)) -}}
{{- $variables = merge (fromYaml (include "turnstream.kafkaEnvironment" .root)) $variables -}}
{{- end -}}
{{- if $values.tls.enabled -}}
{{- $variables = merge (fromYaml (include "turnstream.clientTlsEnvironment" .root)) $variables -}}
{{- end -}}
{{- with $values.tracing.otlpEndpoint -}}
{{- $_ := set $variables "TURNSTREAM_TELEMETRY_OTLP_ENDPOINT" . -}}
{{- end -}}
{{- if eq .name "gateway" -}}
{{- $variables = merge (fromYaml (include "turnstream.gatewayEnvironment" .root)) $variables -}}
{{- end -}}
{{- if eq .name "conversation" -}}
{{- $_ := set $variables "TURNSTREAM_CONVERSATION_ADVERTISE" (printf (ternary "[$(POD_IP)]:%d" "$(POD_IP):%d" (contains ":" $values.listenAddress)) (int $ports.grpc)) -}}
{{- end -}}
env:
  {{- if eq .name "conversation" }}
  # Where other pods of the service ask this one; used in a variable below.
  - name: POD_IP
    valueFrom:
      fieldRef:
        fieldPath: status.podIP
  {{- end }}
  {{- include "turnstream.plainVariables" $variables | nindent 2 }}
  {{- if has .name (fromYamlArray (include "turnstream.loggers" .root)) }}
  {{- with $values.kafka.sasl }}
  {{- if .existingSecret }}
  {{- include "turnstream.secretVariable" (list "TURNSTREAM_KAFKA_SASL_PASSWORD" .existingSecret .passwordKey) | nindent 2 }}
  {{- include "turnstream.secretVariable" (list "TURNSTREAM_KAFKA_SASL_USERNAME" .existingSecret .usernameKey) | nindent 2 }}
  {{- end }}
  {{- end }}
  {{- end }}
  {{- if eq .name "gateway" }}
  {{- with $values.gateway.auth }}
  {{- if .token.existingSecret }}
  {{- include "turnstream.secretVariable" (list "TURNSTREAM_GATEWAY_AUTH_TOKEN" .token.existingSecret .token.key) | nindent 2 }}
  {{- end }}
  {{- if .jwt.existingSecret }}
  {{- include "turnstream.secretVariable" (list "TURNSTREAM_GATEWAY_JWT_SECRET" .jwt.existingSecret .jwt.key) | nindent 2 }}
  {{- end }}
  {{- end }}
  {{- end }}
{{- end -}}

{{/* Settings by section and name as variables. */}}
{{- define "turnstream.settings" -}}
{{- range $section, $entries := . }}
{{- range $name, $value := $entries }}
{{ printf "TURNSTREAM_%s_%s" $section $name | upper }}: {{ include "turnstream.text" $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where a process of ours listens, how it stops, and its certificate. (dict "root" $) */}}
{{- define "turnstream.serverEnvironment" -}}
{{- $ports := fromYaml (include "turnstream.ports" .root) -}}
{{- $paths := fromYaml (include "turnstream.paths" .root) -}}
{{- with .root.Values }}
TURNSTREAM_GRPC_HOST: {{ .listenAddress | quote }}
TURNSTREAM_GRPC_PORT: {{ int $ports.grpc }}
TURNSTREAM_GRPC_HEALTH_PORT: {{ int $ports.health }}
TURNSTREAM_GRPC_DRAIN_DELAY_S: {{ int .termination.delaySeconds }}
TURNSTREAM_GRPC_DRAIN_TIMEOUT_S: {{ int .termination.drainSeconds }}
TURNSTREAM_METRICS_HOST: {{ .listenAddress | quote }}
TURNSTREAM_METRICS_PORT: {{ int $ports.metrics }}
{{- if .tls.enabled }}
TURNSTREAM_TLS_SERVER_CERTIFICATE: {{ $paths.tls }}/tls.crt
TURNSTREAM_TLS_SERVER_KEY: {{ $paths.tls }}/tls.key
{{- if .tls.mutual }}
TURNSTREAM_TLS_CLIENT_CA: {{ $paths.tls }}/ca.crt
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* How a process of ours calls others by TLS. */}}
{{- define "turnstream.clientTlsEnvironment" -}}
{{- $paths := fromYaml (include "turnstream.paths" .) -}}
{{- with .Values -}}
TURNSTREAM_TLS_CA: {{ $paths.tls }}/ca.crt
TURNSTREAM_TLS_SERVER_NAME: {{ .tls.serverName | quote }}
{{- if .tls.mutual }}
TURNSTREAM_TLS_CLIENT_CERTIFICATE: {{ $paths.tls }}/tls.crt
TURNSTREAM_TLS_CLIENT_KEY: {{ $paths.tls }}/tls.key
{{- end }}
TURNSTREAM_TLS_MODEL_SERVER: {{ .modelServer.tls }}
{{- end }}
{{- end -}}

{{- define "turnstream.kafkaEnvironment" -}}
{{- $paths := fromYaml (include "turnstream.paths" .) -}}
{{- with .Values.kafka -}}
TURNSTREAM_TURN_LOG_KIND: kafka
TURNSTREAM_KAFKA_BOOTSTRAP_SERVERS: {{ include "turnstream.kafkaServers" $ | quote }}
TURNSTREAM_KAFKA_PREFIX: {{ .prefix | quote }}
TURNSTREAM_KAFKA_PARTITIONS: {{ int .partitions }}
TURNSTREAM_KAFKA_REPLICATION: {{ ternary 1 (int .replication) .development.enabled }}
TURNSTREAM_KAFKA_SECURITY_PROTOCOL: {{ .securityProtocol }}
{{- with .sasl.mechanism }}
TURNSTREAM_KAFKA_SASL_MECHANISM: {{ . }}
{{- end }}
{{- if .tls.existingSecret }}
TURNSTREAM_KAFKA_SSL_CAFILE: {{ $paths.kafkaTls }}/{{ .tls.caKey }}
{{- with .tls.certificateKey }}
TURNSTREAM_KAFKA_SSL_CERTFILE: {{ $paths.kafkaTls }}/{{ . }}
{{- end }}
{{- with .tls.privateKeyKey }}
TURNSTREAM_KAFKA_SSL_KEYFILE: {{ $paths.kafkaTls }}/{{ . }}
{{- end }}
{{- end }}
TURNSTREAM_KAFKA_SSL_CHECK_HOSTNAME: {{ .tls.checkHostname }}
{{- end }}
{{- end -}}

{{- define "turnstream.gatewayEnvironment" -}}
{{- $ports := fromYaml (include "turnstream.ports" .) -}}
{{- $paths := fromYaml (include "turnstream.paths" .) -}}
{{- with .Values -}}
TURNSTREAM_GATEWAY_HOST: {{ .listenAddress | quote }}
TURNSTREAM_GATEWAY_PORT: {{ int $ports.rest }}
TURNSTREAM_GATEWAY_ENABLE_API: {{ .gateway.api.enabled }}
{{- with .gateway.cors }}
TURNSTREAM_GATEWAY_CORS: {{ . | quote }}
{{- end }}
{{- if .gateway.auth.jwt.existingSecret }}
TURNSTREAM_GATEWAY_JWT_METHOD: {{ .gateway.auth.jwt.method }}
{{- end }}
{{- if .gateway.tls.existingSecret }}
TURNSTREAM_GATEWAY_TLS_CERTIFICATE: {{ $paths.gatewayTls }}/tls.crt
TURNSTREAM_GATEWAY_TLS_KEY: {{ $paths.gatewayTls }}/tls.key
{{- end }}
{{- end }}
{{- end -}}

{{- define "turnstream.plainVariables" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ include "turnstream.text" $value | quote }}
{{- end }}
{{- end -}}

{{/* (list VARIABLE SECRET KEY) */}}
{{- define "turnstream.secretVariable" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 }}
      key: {{ index . 2 }}
{{- end -}}
