import type { KubeClient } from './client.ts'

type AskingClient = Pick<KubeClient, 'request'>

/** Who the API server says a token speaks for. */
export interface ReviewedToken {
  username: string
  uid?: string
  groups?: string[]
  extra?: Record<string, string[]>
}

export interface ReviewedRelay {
  /** Uid of the pod that the token is bound to. */
  uid: string
  namespace: string
}

interface TokenReviewAnswer {
  status?: { authenticated?: boolean; audiences?: string[]; user?: ReviewedToken }
}

const POD_UID = 'authentication.kubernetes.io/pod-uid'
const ACCOUNT_NAME = /^system:serviceaccount:([^:]+):[^:]+$/

/** TokenReview; undefined where the token is not valid for `audience` (the API server's own where none is given). */
export async function reviewToken(
  client: AskingClient,
  token: string,
  audience?: string,
): Promise<ReviewedToken | undefined> {
  const { status } = await client.request<TokenReviewAnswer>({
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/tokenreviews',
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, ...(audience ? { audiences: [audience] } : {}) },
    },
  })
  if (!status?.authenticated || !status.user) return undefined
  // An API server that knows no audiences would authenticate a token that was meant for somebody else.
  if (audience && !status.audiences?.includes(audience)) return undefined
  return status.user
}

/** The pod that a projected service-account token is bound to. */
export async function reviewRelayToken(
  client: AskingClient,
  token: string,
  audience: string,
): Promise<ReviewedRelay | undefined> {
  const user = await reviewToken(client, token, audience)
  const uid = user?.extra?.[POD_UID]?.[0]
  const namespace = ACCOUNT_NAME.exec(user?.username ?? '')?.[1]
  return uid && namespace ? { uid, namespace } : undefined
}

export type AccessQuestion =
  | { verb: string; group: string; resource: string; subresource?: string; namespace?: string; name?: string }
  | { verb: string; path: string }

/** SubjectAccessReview: whether that user may do that. */
export async function mayAccess(
  client: AskingClient,
  user: ReviewedToken,
  question: AccessQuestion,
): Promise<boolean> {
  const attributes =
    'path' in question ? { nonResourceAttributes: question } : { resourceAttributes: question }
  const { username, uid, groups, extra } = user
  const { status } = await client.request<{ status?: { allowed?: boolean } }>({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user: username, uid, groups, extra, ...attributes },
    },
  })
  return status?.allowed === true
}
