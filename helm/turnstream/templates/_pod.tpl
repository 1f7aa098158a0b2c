{{/* What all pods have in common. */}}

{{/* (dict "root" $ "component" NAME "values" VALUES), "user" optional. */}}
{{- define "turnstream.podBasics" -}}
serviceAccountName: {{ include "turnstream.componentName" . }}
automountServiceAccountToken: false
# A service's variables would be taken for settings of ours: TURNSTREAM_NLU_SERVICE_HOST.
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "turnstream.podSecurity" . | nindent 2 }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "turnstream.podSecurity" -}}
{{- $user := default 10001 .user }}
runAsNonRoot: true
runAsUser: {{ $user }}
runAsGroup: {{ $user }}
fsGroup: {{ $user }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "turnstream.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- end -}}

{{/* (dict "root" $ "component" NAME "nodes" ACTION "zones" ACTION) */}}
{{- define "turnstream.spread" -}}
topologySpreadConstraints:
  {{- $top := . }}
  {{- range $key, $action := dict "kubernetes.io/hostname" .nodes "topology.kubernetes.io/zone" .zones }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $action }}
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "turnstream.selectorLabels" $top | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* Probes of a process of ours: health by gRPC, without TLS, on a port of its own. (dict "root" $) */}}
{{- define "turnstream.probes" -}}
{{- $ports := fromYaml (include "turnstream.ports" .root) -}}
startupProbe:
  grpc:
    port: {{ int $ports.health }}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 150
livenessProbe:
  grpc:
    port: {{ int $ports.health }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  grpc:
    port: {{ int $ports.health }}
    service: ready
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

{{/* Room for small files that are needed while a process runs. */}}
{{- define "turnstream.tmpVolume" -}}
- name: tmp
  emptyDir:
    sizeLimit: 256Mi
{{- end -}}

{{- define "turnstream.tmpMount" -}}
- name: tmp
  mountPath: /tmp
{{- end -}}

{{/* Resources of containers that only prepare a pod. */}}
{{- define "turnstream.smallResources" -}}
requests: {cpu: 10m, memory: 64Mi}
limits: {cpu: 500m, memory: 256Mi}
{{- end -}}

{{/* The name of the secret with the certificate of the services. */}}
{{- define "turnstream.tlsSecret" -}}
{{- if .Values.tls.certManager.enabled -}}
{{ default (printf "%s-tls" (include "turnstream.fullname" .)) .Values.tls.existingSecret }}
{{- else -}}
{{ required "tls.existingSecret: name the secret with tls.crt, tls.key and ca.crt, or set tls.certManager.enabled" .Values.tls.existingSecret }}
{{- end -}}
{{- end -}}
