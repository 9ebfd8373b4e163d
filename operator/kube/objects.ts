/** Kubernetes objects as the API server's JSON has them: only what this room reads. */

interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

interface Metadata {
  name: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string
  deletionTimestamp?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  ownerReferences?: OwnerReference[]
}

export interface KubeObject {
  apiVersion?: string
  kind?: string
  metadata: Metadata
}

interface ConditionLike {
  type: string
  status: string
  reason?: string
  message?: string
}

export interface ContainerStatus {
  name: string
  ready: boolean
  restartCount?: number
  state?: {
    waiting?: { reason?: string; message?: string }
    terminated?: { reason?: string; message?: string; exitCode?: number }
  }
}

export interface PodObject extends KubeObject {
  spec?: { nodeName?: string }
  status?: {
    phase?: string
    reason?: string
    message?: string
    conditions?: ConditionLike[]
    containerStatuses?: ContainerStatus[]
    initContainerStatuses?: ContainerStatus[]
  }
}

export interface NodeObject extends KubeObject {
  spec?: {
    podCIDRs?: string[]
    unschedulable?: boolean
    taints?: { key: string; value?: string; effect: string }[]
  }
  status?: {
    addresses?: { type: string; address: string }[]
    conditions?: ConditionLike[]
  }
}

export interface SecretObject extends KubeObject {
  type?: string
  data?: Record<string, string>
}

export interface ConfigMapObject extends KubeObject {
  data?: Record<string, string>
}

export interface ServiceObject extends KubeObject {
  spec?: { clusterIP?: string; clusterIPs?: string[]; ports?: { name?: string; port: number }[] }
}

export interface ListOf<T> {
  metadata: { resourceVersion?: string; continue?: string }
  items: T[]
}

/** `namespace/name`, or `name` of what has no namespace. */
export function objectKey({ metadata }: KubeObject): string {
  return metadata.namespace ? `${metadata.namespace}/${metadata.name}` : metadata.name
}

export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/')
  return { namespace: key.slice(0, Math.max(0, slash)), name: key.slice(slash + 1) }
}

export function isOwnedBy({ metadata }: KubeObject, uid: string): boolean {
  return metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false
}

const PLURALS: Readonly<Record<string, string>> = {
  ConfigMap: 'configmaps',
  Event: 'events',
  Lease: 'leases',
  Node: 'nodes',
  Pod: 'pods',
  PodDisruptionBudget: 'poddisruptionbudgets',
  Secret: 'secrets',
  Service: 'services',
  SubjectAccessReview: 'subjectaccessreviews',
  TokenReview: 'tokenreviews',
  TurnCluster: 'turnclusters',
}

/** The path of a kind, in a namespace or in all. */
export function collectionPath(apiVersion: string, kind: string, namespace?: string): string {
  const plural = PLURALS[kind]
  if (!plural) throw new Error(`no path is known for kind ${kind}`)
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  return namespace ? `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}` : `${root}/${plural}`
}

/** The path of one object. */
export function objectPath(object: KubeObject): string {
  const { apiVersion = '', kind = '', metadata } = object
  return `${collectionPath(apiVersion, kind, metadata.namespace)}/${encodeURIComponent(metadata.name)}`
}
