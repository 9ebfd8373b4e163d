{{- define "turnfleet.fullname" -}}
{{- if contains "turnfleet" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-turnfleet" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "turnfleet.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "turnfleet.fullname" .) -}}
{{- end -}}

{{- define "turnfleet.apiKeysSecret" -}}
{{- if .Values.apiKeys.existingSecret -}}
{{- .Values.apiKeys.existingSecret -}}
{{- else if .Values.apiKeys.keys -}}
{{- include "turnfleet.fullname" . }}-api-keys
{{- end -}}
{{- end -}}

{{- define "turnfleet.selector" -}}
app.kubernetes.io/name: turnfleet
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "turnfleet.labels" -}}
{{ include "turnfleet.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* What the operator may do in a namespace whose TurnClusters it serves. */}}
{{- define "turnfleet.servedRules" -}}
- apiGroups: [turnfleet.dev]
  resources: [turnclusters]
  verbs: [get, list, watch]
- apiGroups: [turnfleet.dev]
  resources: [turnclusters/status]
  verbs: [patch]
# To own objects of a TurnCluster where OwnerReferencesPermissionEnforcement is on.
- apiGroups: [turnfleet.dev]
  resources: [turnclusters/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [pods, configmaps]
  verbs: [get, list, watch, create, patch, delete]
# By the names that a TurnCluster gives: without list and watch, others stay unseen.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}
