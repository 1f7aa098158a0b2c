{{/* The two kinds of model server, and what writes their list of models from the bundles. */}}

{{/* An init container; with "watch" a sidecar. (dict "root" $ "name" NAME "watch" BOOL) */}}
{{- define "turnstream.modelConfig" -}}
{{- $ports := fromYaml (include "turnstream.ports" .root) -}}
{{- $paths := fromYaml (include "turnstream.paths" .root) -}}
{{- $values := .root.Values -}}
- name: {{ .name }}
  image: {{ include "turnstream.image" (dict "image" $values.image "default" .root.Chart.AppVersion) }}
  imagePullPolicy: {{ $values.image.pullPolicy }}
  args:
    - bundle
    - model-config
    - --bundles
    - {{ $paths.bundles }}
    {{- if $values.rollout.stable }}
    - --plan
    - {{ $paths.plan }}/rollout.yaml
    {{- end }}
    - --models-dir
    - {{ $paths.models }}
    - --output
    - {{ $paths.models }}/models.config
    - --batching
    - {{ $paths.models }}/batching.config
    - --monitoring
    - {{ $paths.models }}/monitoring.config
    {{- if .watch }}
    - --watch
    {{- if not $values.modelServer.tls }}
    # TensorFlow Serving refuses a label for a version that is not loaded yet.
    - --model-server
    - 127.0.0.1:{{ int $ports.model }}
    {{- end }}
    {{- end }}
  env:
    - name: TURNSTREAM_BUNDLES_GRACE_S
      value: {{ include "turnstream.text" $values.rollout.graceSeconds | quote }}
    {{- include "turnstream.plainVariables" (fromYaml (include "turnstream.settings" (pick $values.settings "log" "model_server"))) | nindent 4 }}
  {{- if .watch }}
  restartPolicy: Always
  {{- end }}
  resources:
    {{- include "turnstream.smallResources" . | nindent 4 }}
  securityContext:
    {{- include "turnstream.containerSecurity" . | nindent 4 }}
  volumeMounts:
    {{- include "turnstream.tmpMount" . | nindent 4 }}
    {{- include "turnstream.bundleMounts" .root | nindent 4 }}
    - name: models
      mountPath: {{ $paths.models }}
{{- end -}}

{{/* Puts the certificate into the one file that TensorFlow Serving reads. */}}
{{- define "turnstream.servingTls" -}}
{{- $paths := fromYaml (include "turnstream.paths" .) -}}
- name: serving-tls
  image: {{ include "turnstream.image" (dict "image" .Values.image "default" .Chart.AppVersion) }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command:
    - python
    - -c
    - |
      {{- .Files.Get "files/serving_tls.py" | trim | nindent 6 }}
  args:
    - {{ $paths.tls }}
    - {{ $paths.models }}/tls.config
    {{- if .Values.tls.mutual }}
    - --mutual
    {{- end }}
  resources:
    {{- include "turnstream.smallResources" . | nindent 4 }}
  securityContext:
    {{- include "turnstream.containerSecurity" . | nindent 4 }}
  volumeMounts:
    {{- include "turnstream.tmpMount" . | nindent 4 }}
    - name: models
      mountPath: {{ $paths.models }}
    - name: tls
      mountPath: {{ $paths.tls }}
      readOnly: true
{{- end -}}

{{/* Flags and REST addresses: https://www.tensorflow.org/tfx/serving/serving_config and /api_rest */}}
{{- define "turnstream.tensorflowServing" -}}
{{- $ports := fromYaml (include "turnstream.ports" .) -}}
{{- $paths := fromYaml (include "turnstream.paths" .) -}}
{{- $status := printf "/v1/models/%s" .Values.modelServer.readinessModel -}}
{{- $metrics := "/monitoring/prometheus/metrics" -}}
{{- with .Values.modelServer -}}
image: {{ include "turnstream.image" (dict "image" .image "default" "") }}
imagePullPolicy: {{ .image.pullPolicy }}
command:
  - tensorflow_model_server
args:
  - --port={{ int $ports.model }}
  - --rest_api_port={{ int $ports.modelRest }}
  - --model_config_file={{ $paths.models }}/models.config
  - --model_config_file_poll_wait_seconds={{ .pollSeconds }}
  - --allow_version_labels_for_unavailable_models=true
  - --enable_batching=true
  - --batching_parameters_file={{ $paths.models }}/batching.config
  - --monitoring_config_file={{ $paths.models }}/monitoring.config
  {{- if .tls }}
  - --ssl_config_file={{ $paths.models }}/tls.config
  {{- end }}
  {{- with .extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - name: grpc
    containerPort: {{ int $ports.model }}
  - name: metrics
    containerPort: {{ int $ports.modelRest }}
# It listens once every model of its list is loaded.
startupProbe:
  httpGet:
    path: {{ ternary $status $metrics (ne .readinessModel "") }}
    port: metrics
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 300
livenessProbe:
  httpGet:
    path: {{ $metrics }}
    port: metrics
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet:
    path: {{ ternary $status $metrics (ne .readinessModel "") }}
    port: metrics
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
# It ends at once on SIGTERM; before that its clients have to hear that it goes.
lifecycle:
  preStop:
    sleep:
      seconds: {{ $.Values.termination.delaySeconds }}
{{- end -}}
{{- end -}}

{{- define "turnstream.localModelServer" -}}
{{- $ports := fromYaml (include "turnstream.ports" .) -}}
{{- $paths := fromYaml (include "turnstream.paths" .) -}}
{{- $variables := omit (fromYaml (include "turnstream.serverEnvironment" (dict "root" .))) "TURNSTREAM_GRPC_PORT" -}}
{{- if not .Values.modelServer.tls -}}
{{- $variables = omit $variables "TURNSTREAM_TLS_SERVER_CERTIFICATE" "TURNSTREAM_TLS_SERVER_KEY" "TURNSTREAM_TLS_CLIENT_CA" -}}
{{- else -}}
{{- $_ := set $variables "TURNSTREAM_TLS_MODEL_SERVER" true -}}
{{- end -}}
{{- $_ := set $variables "TURNSTREAM_MODEL_SERVER_HOST" .Values.listenAddress -}}
{{- $_ := set $variables "TURNSTREAM_MODEL_SERVER_PORT" $ports.model -}}
{{- $_ := set $variables "TURNSTREAM_MODEL_SERVER_POLL_S" .Values.modelServer.pollSeconds -}}
{{- $variables = merge $variables (fromYaml (include "turnstream.settings" (pick .Values.settings "log" "model_server"))) -}}
image: {{ include "turnstream.image" (dict "image" .Values.trainerImage "default" .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.trainerImage.pullPolicy }}
args:
  - model-server
  - --model-config
  - {{ $paths.models }}/models.config
env:
  {{- include "turnstream.plainVariables" $variables | nindent 2 }}
ports:
  - name: grpc
    containerPort: {{ int $ports.model }}
  - name: health
    containerPort: {{ int $ports.health }}
  - name: metrics
    containerPort: {{ int $ports.metrics }}
{{ include "turnstream.probes" (dict "root" .) }}
{{- end -}}
