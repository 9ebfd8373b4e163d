/** The few Kubernetes objects that turnfleet writes, as plain data: only the fields that it sets. */

export interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller: boolean
  blockOwnerDeletion: boolean
}

interface Metadata {
  name: string
  namespace: string
  labels: Record<string, string>
  annotations: Record<string, string>
  ownerReferences: OwnerReference[]
}

export interface ConfigMap {
  apiVersion: 'v1'
  kind: 'ConfigMap'
  metadata: Metadata
  data: Record<string, string>
}

export interface Secret {
  apiVersion: 'v1'
  kind: 'Secret'
  metadata: Metadata
  type: string
  stringData: Record<string, string>
}

export interface ContainerPort {
  name?: string
  containerPort: number
  hostPort: number
  protocol: 'UDP' | 'TCP'
  hostIP?: string
}

export interface EnvVar {
  name: string
  value?: string
  valueFrom?: { fieldRef: { fieldPath: string } }
}

export interface Probe {
  httpGet: { host: string; path: string; port: number }
  periodSeconds: number
  timeoutSeconds: number
  failureThreshold: number
}

export interface Volume {
  name: string
  hostPath?: { path: string; type: 'DirectoryOrCreate' }
  configMap?: { name: string; optional?: boolean }
  secret?: { secretName: string; defaultMode: number }
  downwardAPI?: { items: { path: string; fieldRef: { fieldPath: string } }[] }
  projected?: {
    sources: { serviceAccountToken: { audience: string; expirationSeconds: number; path: string } }[]
  }
}

export interface Container {
  name: string
  image: string
  imagePullPolicy?: string
  command?: string[]
  args: string[]
  env: EnvVar[]
  ports: ContainerPort[]
  resources: { requests?: Record<string, string>; limits?: Record<string, string> }
  livenessProbe: Probe
  readinessProbe: Probe
  securityContext: {
    allowPrivilegeEscalation: boolean
    readOnlyRootFilesystem: boolean
    capabilities: { drop: string[]; add?: string[] }
  }
  volumeMounts: { name: string; mountPath: string; readOnly: boolean }[]
}

/** Runs to its end before the relay starts. */
export interface InitContainer {
  name: string
  image: string
  imagePullPolicy?: string
  command: string[]
  securityContext: Container['securityContext'] & { runAsNonRoot: boolean; runAsUser: number }
  volumeMounts: Container['volumeMounts']
}

/** A Kubernetes object that the user wrote and that is passed on as it stands. */
export type PassedOn = Record<string, unknown>

export interface PodSpec {
  hostNetwork: boolean
  dnsPolicy: string
  enableServiceLinks: boolean
  automountServiceAccountToken: boolean
  serviceAccountName: string
  imagePullSecrets?: { name: string }[]
  terminationGracePeriodSeconds: number
  securityContext: {
    runAsNonRoot: boolean
    runAsUser: number
    runAsGroup: number
    fsGroup: number
    seccompProfile: { type: string }
  }
  /** Set where the scheduler has nothing to choose. */
  nodeName?: string
  affinity: PassedOn
  nodeSelector?: Record<string, string>
  tolerations?: PassedOn[]
  topologySpreadConstraints?: PassedOn[]
  priorityClassName?: string
  initContainers?: InitContainer[]
  containers: Container[]
  volumes: Volume[]
}

export interface Pod {
  apiVersion: 'v1'
  kind: 'Pod'
  metadata: Metadata
  spec: PodSpec
}
