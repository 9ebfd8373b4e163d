import type { KubeClient } from './client.ts'
import { collectionPath, type ServiceObject } from './objects.ts'

/** Where relays reach the operator, and every name that its certificate must carry for that. */
export interface AdvertisedEndpoint {
  url: string
  names: string[]
  /** Name to expect in the certificate, where `url` has an address that may change. */
  serverName?: string
}

export interface EndpointOptions {
  namespace: string
  service?: string
  advertiseUrl?: string
}

const HTTPS_PORT = 443
const LOCAL_NAMES = ['localhost', '127.0.0.1', '::1']

/**
 * The operator's own URL: as given, or the cluster IP of its Service. Relays are on the host network and need no
 * cluster DNS for it.
 */
export async function advertisedEndpoint(
  client: KubeClient,
  options: EndpointOptions,
): Promise<AdvertisedEndpoint> {
  const { namespace, service, advertiseUrl } = options
  const serviceNames = service ? [service, `${service}.${namespace}`, `${service}.${namespace}.svc`] : []
  if (advertiseUrl) {
    const host = new URL(advertiseUrl).hostname.replace(/^\[|\]$/g, '')
    return { url: advertiseUrl, names: [...new Set([host, ...serviceNames, ...LOCAL_NAMES])] }
  }
  if (!service)
    throw new Error('relays must know where to report: give --service inside a cluster, or --advertise-url')
  const path = `${collectionPath('v1', 'Service', namespace)}/${service}`
  const { spec } = await client.get<ServiceObject>(path)
  const addresses = (spec?.clusterIPs ?? [spec?.clusterIP ?? '']).filter((ip) => ip !== '' && ip !== 'None')
  const [address] = addresses
  if (!address)
    throw new Error(`Service ${namespace}/${service} has no cluster IP: relays need one to report to`)
  const ports = spec?.ports ?? []
  const port = (ports.find(({ name }) => name === 'https') ?? ports[0])?.port ?? HTTPS_PORT
  const host = address.includes(':') ? `[${address}]` : address
  return {
    url: `https://${host}:${port}`,
    names: [...addresses, ...serviceNames, `${service}.${namespace}.svc.cluster.local`, ...LOCAL_NAMES],
    serverName: `${service}.${namespace}.svc`,
  }
}
