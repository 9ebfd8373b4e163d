import { parse } from 'yaml'
import { z } from 'zod'
import { relayAddress } from '../../relay/api/config-fields.ts'
import { ANNOTATION_ADDRESSES, ANNOTATION_DRAIN, ANNOTATION_PUBLIC_ADDRESS } from '../api/labels.ts'
import type { ObservedNode, ObservedRelay } from '../controller/contract.ts'
import { parseRelayName } from '../specs/names.ts'
import type { ContainerStatus, NodeObject, PodObject } from './objects.ts'

/** What pods and nodes say, in the words of the plan. */

const ZONE_LABEL = 'topology.kubernetes.io/zone'
const ADDRESSES_MAX = 8

const addressList = z.array(relayAddress).max(ADDRESSES_MAX)
const drainMark = z.object({ sinceMs: z.number(), reason: z.string() })

/** Taints that announce the end of a node; what is tainted by hand with others stays. */
const LEAVING_TAINTS: Readonly<Record<string, string>> = {
  'node.kubernetes.io/unschedulable': 'cordoned',
  'node.kubernetes.io/out-of-service': 'marked out of service',
  'node.cloudprovider.kubernetes.io/shutdown': 'shut down by the cloud provider',
  ToBeDeletedByClusterAutoscaler: 'being removed by the cluster autoscaler',
  'karpenter.sh/disrupted': 'being removed by Karpenter',
  'karpenter.sh/disruption': 'being removed by Karpenter',
  'aws-node-termination-handler/spot-itn': 'interrupted by its spot market',
  'aws-node-termination-handler/scheduled-maintenance': 'about to be maintained',
  'aws-node-termination-handler/asg-lifecycle-termination': 'being removed by its scaling group',
  'aws-node-termination-handler/rebalance-recommendation': 'likely to be interrupted by its spot market',
  'cloud.google.com/impending-node-termination': 'about to be terminated',
}

/** Reasons of a waiting container that are no trouble. */
const STARTING_REASONS = ['ContainerCreating', 'PodInitializing']

/** Undefined where the name is none of a relay of that cluster. */
export function observedRelay(cluster: string, pod: PodObject): ObservedRelay | undefined {
  const { name, uid = '', creationTimestamp, deletionTimestamp, annotations = {} } = pod.metadata
  const parsed = parseRelayName(cluster, name)
  if (!parsed) return undefined
  const trouble = troubleOf(pod)
  const drain = drainMark.safeParse(yamlOf(annotations[ANNOTATION_DRAIN]))
  const addresses = addressList.safeParse(yamlOf(annotations[ANNOTATION_ADDRESSES]))
  return {
    name,
    uid,
    ...parsed,
    createdAtMs: Date.parse(creationTimestamp ?? '') || 0,
    ...(pod.spec?.nodeName ? { node: pod.spec.nodeName } : {}),
    phase: phaseOf(pod),
    ready: hasCondition(pod.status?.conditions, 'Ready'),
    terminating: deletionTimestamp !== undefined,
    ...(trouble ? { trouble } : {}),
    addresses: addresses.success ? addresses.data : [],
    ...(drain.success ? { drain: drain.data } : {}),
  }
}

export function observedNode({ metadata, spec, status }: NodeObject): ObservedNode {
  const leaving = leavingReason({ metadata, spec: spec ?? {} })
  const zone = metadata.labels?.[ZONE_LABEL]
  const ofType = (type: string): string[] =>
    (status?.addresses ?? []).filter((address) => address.type === type).map(({ address }) => address)
  return {
    name: metadata.name,
    ready: hasCondition(status?.conditions, 'Ready'),
    ...(leaving ? { leaving } : {}),
    ...(zone ? { zone } : {}),
    annotatedAddresses: splitList(metadata.annotations?.[ANNOTATION_PUBLIC_ADDRESS]),
    externalAddresses: ofType('ExternalIP'),
    internalAddresses: ofType('InternalIP'),
  }
}

function phaseOf({ status }: PodObject): ObservedRelay['phase'] {
  if (status?.phase === 'Failed' || status?.phase === 'Succeeded') return 'Ended'
  return status?.phase === 'Pending' || status?.phase === undefined ? 'Pending' : 'Running'
}

function troubleOf({ status }: PodObject): ObservedRelay['trouble'] {
  for (const container of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
    const trouble = containerTrouble(container)
    if (trouble) return trouble
  }
  if (status?.phase === 'Failed')
    return { reason: status.reason ?? 'Failed', message: status.message ?? 'the pod has failed' }
  const scheduled = status?.conditions?.find((condition) => condition.type === 'PodScheduled')
  if (scheduled?.status !== 'False') return undefined
  return {
    reason: scheduled.reason ?? 'Unschedulable',
    message: scheduled.message ?? 'no node takes the pod',
  }
}

function containerTrouble({ state, ready }: ContainerStatus): ObservedRelay['trouble'] {
  const { waiting, terminated } = state ?? {}
  if (waiting?.reason && !STARTING_REASONS.includes(waiting.reason))
    return { reason: waiting.reason, message: waiting.message ?? 'the container does not start' }
  if (!terminated || ready || terminated.exitCode === 0) return undefined
  const message = terminated.message ?? `the container exited with code ${terminated.exitCode}`
  return { reason: terminated.reason ?? 'Error', message }
}

function leavingReason({
  metadata,
  spec,
}: {
  metadata: NodeObject['metadata']
  spec: NonNullable<NodeObject['spec']>
}): string | undefined {
  if (metadata.deletionTimestamp) return 'being deleted'
  if (spec.unschedulable) return 'cordoned'
  for (const { key } of spec.taints ?? []) {
    const reason = LEAVING_TAINTS[key]
    if (reason) return reason
  }
  return undefined
}

function hasCondition(conditions: { type: string; status: string }[] | undefined, type: string): boolean {
  return conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false
}

function splitList(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function yamlOf(text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return parse(text)
  } catch {
    return undefined
  }
}
