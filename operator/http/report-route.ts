import type { FastifyInstance } from 'fastify'
import { loadReport } from '../../relay/api/load-report.ts'
import type { Fleet } from '../controller/contract.ts'
import { bearerToken } from './authentication.ts'
import { badRequest, forbidden, tooManyRequests, unauthenticated } from './http-error.ts'
import { ReviewCache } from './kubernetes-access.ts'
import { Quota } from './quota.ts'
import { parseWith } from './validation.ts'

/** Whom a relay's token speaks for. */
interface ReportingRelay {
  /** Pod uid that the token is bound to; in standalone mode the uid of the process it was made for. */
  uid: string
  /** The namespace of that pod: a relay cannot report for a cluster of another one. */
  namespace: string
}

/** Checks a relay's token; undefined: not valid. */
export type ReportTokenReviewer = (token: string) => Promise<ReportingRelay | undefined>

/** Room for a full batch of events. */
const BODY_LIMIT_BYTES = 512 * 1024
const REPORTS_PER_MINUTE = 1200

/** `POST /v1/relays/{uid}/report`: load in, directives out. */
export function reportRoute(
  app: FastifyInstance,
  options: { fleet: Fleet; reviewReportToken: ReportTokenReviewer; nowMs: () => number },
): void {
  const { fleet, nowMs } = options
  const reviews = new ReviewCache<ReportingRelay>()
  const quota = new Quota()
  app.post<{ Params: { uid: string } }>(
    '/v1/relays/:uid/report',
    { bodyLimit: BODY_LIMIT_BYTES, config: { authentication: 'in-route' } },
    async (request) => {
      const token = bearerToken(request)
      if (token === undefined) throw unauthenticated('send the relay\'s token as "Authorization: Bearer …"')
      const relay = await reviews.get(token, nowMs(), () => options.reviewReportToken(token))
      if (!relay) throw unauthenticated('this relay token is not valid')
      const { uid } = request.params
      if (uid !== relay.uid) throw forbidden('this token belongs to another relay')
      const waitSeconds = quota.take(uid, REPORTS_PER_MINUTE, nowMs())
      if (waitSeconds > 0) throw tooManyRequests(waitSeconds)
      const report = parseWith(loadReport, request.body, 'body')
      if (report.uid !== uid) throw badRequest('body.uid: must be the uid of the path')
      if (!report.cluster.startsWith(`${relay.namespace}/`)) {
        throw forbidden('this relay may not report for a TurnCluster of another namespace than its own')
      }
      return fleet.report(report, nowMs())
    },
  )
}
