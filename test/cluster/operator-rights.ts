import type { Api } from './api.ts'

/** The rights that `operator --help` names, for a service account of a test. */

interface Rule {
  apiGroups: string[]
  resources: string[]
  verbs: string[]
  resourceNames?: string[]
}

/** In each namespace that is served. */
const SERVED_RULES: Rule[] = [
  { apiGroups: ['turnfleet.dev'], resources: ['turnclusters'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: ['turnfleet.dev'], resources: ['turnclusters/status'], verbs: ['patch'] },
  { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'] },
  { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch', 'create', 'patch'] },
  { apiGroups: [''], resources: ['secrets'], verbs: ['get', 'create'] },
  { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create'] },
]

/** In the operator's own namespace. */
const OWN_RULES: Rule[] = [
  { apiGroups: [''], resources: ['secrets'], verbs: ['get', 'create', 'patch'] },
  { apiGroups: [''], resources: ['services'], verbs: ['get'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] },
]

/** Of the whole cluster. */
export const CLUSTER_RULES: Rule[] = [
  { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: ['networking.k8s.io'], resources: ['servicecidrs'], verbs: ['list'] },
  { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
]

export interface Grant {
  namespace: string
  account: string
  /** Namespaces to serve; `all` for every one. */
  served: readonly string[] | 'all'
  clusterRules?: Rule[]
}

/** Makes the namespace's service account with these rights, and answers a token for it. */
export async function grantOperator(api: Api, grant: Grant): Promise<string> {
  const { namespace, account, served, clusterRules = CLUSTER_RULES } = grant
  await api.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: account, namespace } })
  await bindInNamespace(api, grant, namespace, 'own', OWN_RULES)
  if (served !== 'all') for (const each of served) await serveNamespace(api, grant, each)
  await bindInCluster(api, grant, served === 'all' ? [...clusterRules, ...SERVED_RULES] : clusterRules)
  const answer = await api.client.request<{ status: { token: string } }>({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`,
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
  })
  return answer.status.token
}

/** Gives the account the rights to serve one more namespace. */
export function serveNamespace(api: Api, grant: Grant, namespace: string): Promise<void> {
  return bindInNamespace(api, grant, namespace, 'served', SERVED_RULES)
}

async function bindInNamespace(
  api: Api,
  grant: Grant,
  namespace: string,
  suffix: string,
  rules: Rule[],
): Promise<void> {
  const name = `${grant.account}-${suffix}`
  const base = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name, namespace } }
  await api.create({ ...base, kind: 'Role', rules })
  await api.create({
    ...base,
    kind: 'RoleBinding',
    subjects: [subject(grant)],
    roleRef: roleRef('Role', name),
  })
}

async function bindInCluster(api: Api, grant: Grant, rules: Rule[]): Promise<void> {
  const name = `${grant.namespace}-${grant.account}`
  const base = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name } }
  await api.create({ ...base, kind: 'ClusterRole', rules })
  await api.create({
    ...base,
    kind: 'ClusterRoleBinding',
    subjects: [subject(grant)],
    roleRef: roleRef('ClusterRole', name),
  })
}

function subject({ account, namespace }: Grant) {
  return { kind: 'ServiceAccount', name: account, namespace }
}

function roleRef(kind: string, name: string) {
  return { apiGroup: 'rbac.authorization.k8s.io', kind, name }
}
