{{/* A service's deployment. (dict "root" $ "component" NAME "name" NAME "service" VALUES "values" VALUES) */}}
{{- define "turnstream.deployment" -}}
{{- $ports := fromYaml (include "turnstream.ports" .root) -}}
{{- $paths := fromYaml (include "turnstream.paths" .root) -}}
{{- $values := .root.Values -}}
{{- $uses := fromYaml (include "turnstream.uses" .) }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "turnstream.metadata" . | nindent 2 }}
spec:
  {{- if not .service.autoscaling.enabled }}
  replicas: {{ .service.replicas }}
  {{- end }}
  strategy:
    rollingUpdate:
      maxSurge: {{ $values.rollingUpdate.maxSurge }}
      maxUnavailable: {{ $values.rollingUpdate.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "turnstream.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "turnstream.labels" . | nindent 8 }}
        {{- with .service.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with include "turnstream.podAnnotations" . | trim }}
      annotations:
        {{- . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "turnstream.podBasics" . | nindent 6 }}
      {{- include "turnstream.spread" (merge (dict "nodes" .service.topologySpread.nodes "zones" .service.topologySpread.zones) .) | nindent 6 }}
      terminationGracePeriodSeconds: {{ add $values.termination.drainSeconds 10 }}
      {{- with include "turnstream.bundleFetchers" .root | trim }}
      initContainers:
        {{- . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .name }}
          image: {{ include "turnstream.image" (dict "image" $values.image "default" .root.Chart.AppVersion) }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          args:
            - serve
            - {{ .name }}
            {{- if $uses.endpoints }}
            - --endpoints
            - {{ $paths.endpoints }}/endpoints.yml
            {{- end }}
            {{- if $uses.channels }}
            - --credentials
            - {{ $paths.channels }}/credentials.yml
            {{- end }}
          {{- include "turnstream.environment" . | nindent 10 }}
          ports:
            - name: grpc
              containerPort: {{ int $ports.grpc }}
            - name: health
              containerPort: {{ int $ports.health }}
            - name: metrics
              containerPort: {{ int $ports.metrics }}
            {{- if eq .name "gateway" }}
            - name: rest
              containerPort: {{ int $ports.rest }}
            {{- end }}
          {{- include "turnstream.probes" . | nindent 10 }}
          resources:
            {{- toYaml .service.resources | nindent 12 }}
          securityContext:
            {{- include "turnstream.containerSecurity" . | nindent 12 }}
          volumeMounts:
            {{- include "turnstream.tmpMount" . | nindent 12 }}
            {{- include "turnstream.bundleMounts" .root | nindent 12 }}
            {{- range $volume, $secret := omit $uses "endpoints" }}
            - name: {{ $volume }}
              mountPath: {{ index $paths ($volume | replace "-" "_" | camelcase | untitle) }}
              readOnly: true
            {{- end }}
            {{- if $uses.endpoints }}
            - name: endpoints
              mountPath: {{ $paths.endpoints }}
              readOnly: true
            {{- end }}
      volumes:
        {{- include "turnstream.tmpVolume" . | nindent 8 }}
        {{- include "turnstream.bundleVolumes" .root | nindent 8 }}
        {{- range $volume, $secret := omit $uses "endpoints" }}
        - name: {{ $volume }}
          secret:
            secretName: {{ $secret }}
        {{- end }}
        {{- if $uses.endpoints }}
        - name: endpoints
          {{- if $values.actionServer.existingSecret }}
          secret:
            secretName: {{ $values.actionServer.existingSecret }}
          {{- else }}
          configMap:
            name: {{ include "turnstream.fullname" .root }}-endpoints
          {{- end }}
        {{- end }}
{{- end -}}

{{/* A process reads its endpoints file once: where that says something else, pods are replaced. The plan is followed. */}}
{{- define "turnstream.podAnnotations" -}}
{{- $uses := fromYaml (include "turnstream.uses" .) -}}
{{- if and $uses.endpoints (not .root.Values.actionServer.existingSecret) }}
checksum/endpoints: {{ include "turnstream.endpointsFile" .root | sha256sum }}
{{- end }}
{{- with .service.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Secrets that a service's pod mounts, by volume; `endpoints` is true where it gets an endpoints file. */}}
{{- define "turnstream.uses" -}}
{{- $values := .root.Values -}}
{{- if $values.tls.enabled }}
tls: {{ include "turnstream.tlsSecret" .root }}
{{- end }}
{{- if and (eq .name "gateway") $values.gateway.tls.existingSecret }}
gateway-tls: {{ $values.gateway.tls.existingSecret }}
{{- end }}
{{- if and (eq .name "gateway") $values.gateway.channels.existingSecret }}
channels: {{ $values.gateway.channels.existingSecret }}
{{- end }}
{{- if and (has .name (fromYamlArray (include "turnstream.loggers" .root))) $values.kafka.tls.existingSecret }}
kafka-tls: {{ $values.kafka.tls.existingSecret }}
{{- end }}
{{- if and (has .name (list "action" "conversation")) (or $values.actionServer.url $values.actionServer.existingSecret) }}
endpoints: true
{{- end }}
{{- end -}}

{{/* Name of the service that lists the pods of a component one by one. */}}
{{- define "turnstream.headless" -}}
{{ include "turnstream.componentName" . }}-headless.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}
{{- end -}}

{{- define "turnstream.headlessService" -}}
{{- $ports := fromYaml (include "turnstream.ports" .root) }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "turnstream.metadata" (merge (dict "suffix" "headless") .) | nindent 2 }}
    turnstream/metrics: "true"
spec:
  clusterIP: None
  selector:
    {{- include "turnstream.selectorLabels" . | nindent 4 }}
  ports:
    - name: grpc
      port: {{ int $ports.grpc }}
      targetPort: grpc
      {{- with include "turnstream.grpcProtocol" . }}
      {{- . | nindent 6 }}
      {{- end }}
    - name: metrics
      port: {{ int $ports.metrics }}
      targetPort: metrics
{{- end -}}

{{- define "turnstream.serviceAccount" }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "turnstream.metadata" . | nindent 2 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}

{{- define "turnstream.disruptionBudget" }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "turnstream.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ .values.disruptionBudget.maxUnavailable }}
  # A pod that cannot become ready must not keep a node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "turnstream.selectorLabels" . | nindent 6 }}
{{- end -}}

{{- define "turnstream.autoscaler" -}}
{{- $scaling := .values.autoscaling }}
{{- if not (or $scaling.cpuPercent $scaling.turnsInFlight $scaling.inboxLag) }}
{{- fail (printf "autoscaling of %s: say by what (cpuPercent, turnsInFlight or inboxLag)" .component) }}
{{- end }}
{{- if lt (int $scaling.maxReplicas) (int $scaling.minReplicas) }}
{{- fail (printf "autoscaling of %s: maxReplicas is %d, and minReplicas %d" .component (int $scaling.maxReplicas) (int $scaling.minReplicas)) }}
{{- end }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "turnstream.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "turnstream.componentName" . }}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  behavior:
    scaleDown:
      stabilizationWindowSeconds: {{ int (ternary $scaling.scaleDownAfterSeconds 300 (hasKey $scaling "scaleDownAfterSeconds")) }}
  metrics:
    {{- with $scaling.cpuPercent }}
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ . }}
    {{- end }}
    {{- with $scaling.turnsInFlight }}
    - type: Pods
      pods:
        metric:
          name: turnstream_conversation_turns_in_flight
        target:
          type: AverageValue
          averageValue: {{ include "turnstream.text" . | quote }}
    {{- end }}
    {{- with $scaling.inboxLag }}
    - type: External
      external:
        metric:
          name: turnstream_turnlog_backlog_messages
          selector:
            matchLabels:
              namespace: {{ $.root.Release.Namespace }}
              app_kubernetes_io_instance: {{ $.root.Release.Name }}
        target:
          type: AverageValue
          averageValue: {{ include "turnstream.text" . | quote }}
    {{- end }}
{{- end -}}
