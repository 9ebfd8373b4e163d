import { REPORT_TOKEN_AUDIENCE } from '../../relay/api/load-report.ts'
import { GROUP, PLURAL } from '../api/turn-cluster.ts'
import type { KubernetesAccess } from '../http/kubernetes-access.ts'
import { mayAccess, reviewToken } from './access.ts'
import type { KubeClient } from './client.ts'

/** Lets the HTTP server ask the API server who calls and what they may. */
export function kubernetesAccess(client: KubeClient): KubernetesAccess {
  return {
    async reviewToken(token) {
      // A token made for the operator alone is the better one to send; one for the API server is what people have.
      const user =
        (await reviewToken(client, token, REPORT_TOKEN_AUDIENCE)) ?? (await reviewToken(client, token))
      if (!user) return undefined
      const { username, uid, groups } = user
      return { username, ...(uid ? { uid } : {}), ...(groups ? { groups } : {}) }
    },
    authorize: (identity, access) =>
      mayAccess(client, identity, 'path' in access ? access : { ...access, group: GROUP, resource: PLURAL }),
  }
}
