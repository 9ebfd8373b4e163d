import { KubeClient } from '../../operator/kube/client.ts'
import { kubeconfigConnection } from '../../operator/kube/credentials.ts'
import type { KubeObject, ListOf } from '../../operator/kube/objects.ts'
import { until } from './command.ts'

/** The CRD of the chart. */
export const CRD_FILE = new URL(
  '../../charts/turnfleet/crds/turnclusters.turnfleet.dev.yaml',
  import.meta.url,
)
const POLL_MS = 40

/** An object as the tests look at it. */
export interface AnyObject extends KubeObject {
  spec?: unknown
  status?: unknown
}

/** Every kind that tests use has a regular plural. */
function collectionPath(apiVersion: string, kind: string, namespace?: string): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  return `${root}${namespace ? `/namespaces/${namespace}` : ''}/${kind.toLowerCase()}s`
}

function objectPath({ apiVersion = '', kind = '', metadata }: KubeObject): string {
  return `${collectionPath(apiVersion, kind, metadata.namespace)}/${metadata.name}`
}

/** What tests do as an administrator. */
export class Api {
  readonly client: KubeClient

  constructor(client: KubeClient) {
    this.client = client
  }

  static async of(kubeconfig: string): Promise<Api> {
    return new Api(new KubeClient(await kubeconfigConnection(kubeconfig)))
  }

  create<T extends KubeObject>(object: T, query: Record<string, string> = {}): Promise<T> {
    const { apiVersion = '', kind = '', metadata } = object
    const path = collectionPath(apiVersion, kind, metadata.namespace)
    return this.client.request<T>({ method: 'POST', path, query, body: object })
  }

  find<T extends KubeObject>(
    apiVersion: string,
    kind: string,
    namespace: string | undefined,
    name: string,
  ): Promise<T | undefined> {
    return this.client.find<T>(`${collectionPath(apiVersion, kind, namespace)}/${name}`)
  }

  async list<T extends KubeObject>(
    apiVersion: string,
    kind: string,
    namespace?: string,
    labelSelector?: string,
  ): Promise<T[]> {
    const path = collectionPath(apiVersion, kind, namespace)
    return (await this.client.get<ListOf<T>>(path, { labelSelector })).items
  }

  /** A JSON merge patch, of a subresource where one is named. */
  merge<T extends KubeObject>(object: KubeObject, patch: object, subresource = ''): Promise<T> {
    const path = objectPath(object) + (subresource ? `/${subresource}` : '')
    return this.client.request<T>({
      method: 'PATCH',
      path,
      body: patch,
      contentType: 'application/merge-patch+json',
    })
  }

  async delete(object: KubeObject, gracePeriodSeconds?: number): Promise<void> {
    const body = gracePeriodSeconds === undefined ? undefined : { gracePeriodSeconds }
    await this.client.request({ method: 'DELETE', path: objectPath(object), body })
  }

  /** Waits until the API server serves what `CRD_FILE` declares. */
  async untilServed(): Promise<void> {
    await this.until('TurnClusters are served', async () => {
      await this.list('turnfleet.dev/v1alpha1', 'TurnCluster')
      return true
    })
  }

  /** Looks until the answer is neither undefined nor false. */
  until<T>(what: string, attempt: () => Promise<T | undefined | false>, timeoutMs = 20_000): Promise<T> {
    return until(what, attempt, { timeoutMs, everyMs: POLL_MS })
  }
}
