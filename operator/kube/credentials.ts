import { readFile } from 'node:fs/promises'
import type { OutgoingHttpHeaders } from 'node:http'
import type { Agent, RequestOptions } from 'node:https'

const ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount'
/** The kubelet renews the token at 80 % of its life; reading it this often is always in time. */
const TOKEN_REREAD_MS = 60_000

/** What the library makes up where it finds no configuration at all. */
const NO_CONFIG_SERVER = 'http://localhost:8080'

/** How a request reaches and convinces the API server. */
interface ConnectionOptions {
  headers: OutgoingHttpHeaders
  tls: Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'rejectUnauthorized' | 'servername'>
  /** Only where the kubeconfig names a proxy. */
  agent?: Agent
}

export interface Connection {
  /** `https://host:port`, with a path where the kubeconfig has one. */
  server: string
  /** The namespace that the kubeconfig or the service account names. */
  namespace: string | undefined
  /** Called before each request, since tokens expire. */
  options(): Promise<ConnectionOptions>
}

/** The kubeconfig that is named, by flag or by KUBECONFIG; else the service account of a pod; else the default one. */
export async function connect(kubeconfig?: string): Promise<Connection> {
  if (kubeconfig || process.env.KUBECONFIG) return kubeconfigConnection(kubeconfig)
  return (await inClusterConnection()) ?? kubeconfigConnection()
}

/**
 * Inside a pod: the mounted service account. `@kubernetes/client-node` is not even loaded there, which saves a
 * third of the operator's memory.
 */
export async function inClusterConnection(
  environment: NodeJS.ProcessEnv = process.env,
  directory: string = ACCOUNT_DIRECTORY,
): Promise<Connection | undefined> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = environment
  if (!host) return undefined
  const read = (name: string): Promise<string> => readFile(`${directory}/${name}`, 'utf8')
  const ca = await read('ca.crt')
  let token = ''
  let readAtMs = Number.NEGATIVE_INFINITY
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: (await read('namespace').catch(() => '')).trim() || undefined,
    async options() {
      if (performance.now() - readAtMs > TOKEN_REREAD_MS) {
        token = (await read('token')).trim()
        readAtMs = performance.now()
      }
      return { headers: { Authorization: `Bearer ${token}` }, tls: { ca } }
    },
  }
}

/** Outside: the kubeconfig with everything it may ask for (certificates, exec plugins, OIDC, proxies). */
export async function kubeconfigConnection(path?: string): Promise<Connection> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  try {
    if (path) config.loadFromFile(path)
    else config.loadFromDefault()
  } catch (error) {
    throw new Error(`the kubeconfig cannot be read: ${(error as Error).message}`)
  }
  const cluster = config.getCurrentCluster()
  if (cluster?.server === NO_CONFIG_SERVER)
    throw new Error(
      'there is no kubeconfig: name one with --kubeconfig or KUBECONFIG, or run inside a cluster',
    )
  if (!cluster)
    throw new Error('the kubeconfig names no current cluster: set one by `kubectl config use-context NAME`')
  return {
    server: cluster.server.replace(/\/+$/, ''),
    namespace: config.getContextObject(config.getCurrentContext())?.namespace,
    async options() {
      const filled: RequestOptions = {}
      await config.applyToHTTPSOptions(filled)
      const { ca, cert, key, rejectUnauthorized, servername, agent, auth } = filled
      const headers = { ...(filled.headers as OutgoingHttpHeaders | undefined) }
      if (auth) headers.Authorization = `Basic ${Buffer.from(auth).toString('base64')}`
      const tls = definedOnly({ ca, cert, key, rejectUnauthorized, servername })
      return cluster.proxyUrl ? { headers, tls, agent: agent as Agent } : { headers, tls }
    },
  }
}

function definedOnly<T extends object>(record: T): Partial<{ [K in keyof T]: Exclude<T[K], undefined> }> {
  const defined = Object.entries(record).filter(([, value]) => value !== undefined)
  return Object.fromEntries(defined) as Partial<{ [K in keyof T]: Exclude<T[K], undefined> }>
}
