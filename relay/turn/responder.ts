import type { TransportAddress } from '../stun/address.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { ERROR } from '../stun/error-codes.ts'
import { CLASS, METHOD, methodName } from '../stun/methods.ts'
import { FEATURE } from '../stun/nonce-cookie.ts'
import { OFFERED_PASSWORD_ALGORITHMS } from '../stun/password-algorithm.ts'
import type { StunWriter } from '../stun/writer.ts'
import type { Allocation, AllocationOwner, RequestTransaction } from './allocation.ts'
import { chargeAnswer } from './answer-budget.ts'
import type { Refused } from './contract.ts'
import type { TurnCore } from './core.ts'
import type { Outcome, Refusal, Success } from './outcome.ts'
import type { Request } from './request.ts'

/**
 * The shortest Allocate there is, and the shortest request that is challenged over UDP: to a bare header, which no
 * client sends without credentials, a challenge would be too large an answer for a source that may be forged.
 */
const CHALLENGED_BYTES_MIN = 28

/** Turns what handlers decided into responses on the 5-tuple the request came from. */
export class Responder {
  readonly #core: TurnCore

  constructor(core: TurnCore) {
    this.#core = core
  }

  /** Answers a request; without credentials only while the budgets of its source and of the relay for that last. */
  respond(request: Request, outcome: Outcome): void {
    if (outcome.kind === 'silent') return
    const core = this.#core
    if (outcome.kind === 'elsewhere') {
      const { reader, link, client } = request
      const bytes = reader.buffer.slice(reader.offset, reader.offset + reader.length)
      core.outputs.push({ kind: 'pass', loop: outcome.loop, link, client, bytes })
      return
    }
    const exceeded = request.owner ? undefined : chargeAnswer(core, request)
    if (exceeded) {
      core.counters.drops[exceeded]++
      return
    }
    const { reader } = request
    const { writer } = core
    writer.startWords(reader.method, outcome.kind === 'success' ? CLASS.Success : CLASS.Error, reader)
    if (outcome.kind === 'success') outcome.attributes?.(writer)
    else this.#writeRefusal(writer, request, outcome)
    const to = (outcome.kind === 'success' && outcome.to) || request
    this.#finish(
      reader.method,
      { link: to.link, client: to.client, owner: request.owner, allocation: request.allocation },
      reader.hasFingerprint,
    )
    this.#count(reader.method, request, outcome)
    if (outcome.kind === 'success') outcome.afterwards?.()
  }

  /** Answers the Allocate that made an allocation, or another request on it, some time after it came. */
  succeedLater(
    method: number,
    allocation: Allocation,
    attributes: (writer: StunWriter) => void,
    transaction: RequestTransaction = allocation.transaction,
  ): void {
    this.#core.writer.startWords(method, CLASS.Success, transaction)
    attributes(this.#core.writer)
    this.#finish(method, this.#target(allocation), transaction.hasFingerprint)
    this.#core.counters.countResponse(methodName(method))
  }

  refuseLater(
    method: number,
    allocation: Allocation,
    refusal: Refusal,
    transaction: RequestTransaction = allocation.transaction,
  ): void {
    const target = this.#target(allocation)
    this.#core.writer.startWords(method, CLASS.Error, transaction).addErrorCode(refusal.code)
    this.#finish(method, target, transaction.hasFingerprint)
    this.#count(method, target, refusal)
  }

  #target(allocation: Allocation): Target {
    return { link: allocation.link.id, client: allocation.client, owner: allocation.owner, allocation }
  }

  #writeRefusal(writer: StunWriter, request: Request, refusal: Refusal): void {
    writer.addErrorCode(refusal.code)
    if (refusal.code === ERROR.Unauthenticated || refusal.code === ERROR.StaleNonce) {
      this.#writeChallenge(writer, request, refusal.code)
    }
    if (refusal.unknown) writer.addTypeList(refusal.unknown)
    if (refusal.redirect) writeRedirect(writer, request, refusal.redirect)
  }

  /**
   * REALM, NONCE and, where they are offered, PASSWORD-ALGORITHMS (RFC 8489 §9.2.4) and third-party authorization
   * (RFC 7635 §4).
   */
  #writeChallenge(writer: StunWriter, request: Request, code: number): void {
    if (isTooShort(request)) return
    const { client, now, allocation, realm } = request
    const { nonces } = this.#core
    const features = featuresFor(allocation, realm.securityFeatures)
    writer.addBytes(ATTRIBUTE.Realm, realm.nameBytes)
    writer.addBytes(ATTRIBUTE.Nonce, nonces.issue(client, this.#core.unixSeconds(now), features))
    if (features !== 0) writer.addBytes(ATTRIBUTE.PasswordAlgorithms, OFFERED_PASSWORD_ALGORITHMS)
    if (realm.thirdParty && code === ERROR.Unauthenticated) {
      writer.addText(ATTRIBUTE.ThirdPartyAuthorization, realm.thirdParty.serverName)
    }
  }

  #finish(method: number, { link, client, owner }: Target, fingerprint: boolean): void {
    const { writer, crypto, config, outputs, counters } = this.#core
    if (config.software !== undefined && (method === METHOD.Allocate || method === METHOD.Refresh)) {
      writer.addText(ATTRIBUTE.Software, config.software)
    }
    const sha256Key = owner?.algorithm === undefined ? undefined : owner.key
    const integrityKey = sha256Key ? undefined : owner?.key
    const bytes = writer.finish({ integrityKey, sha256Key, crypto, fingerprint })
    if (!outputs.push({ kind: 'transmit', link, to: client, bytes })) counters.drops['output-queue-full']++
  }

  #count(method: number, target: Target, outcome: Success | Refusal): void {
    const { counters, outputs } = this.#core
    const name = methodName(method)
    if (outcome.kind === 'success') {
      counters.countResponse(name)
      return
    }
    counters.countResponse(name, outcome.code)
    counters.refusals[outcome.reason]++
    // The first request of every client is challenged: that is no refusal to log.
    if (outcome.reason !== 'challenge') outputs.push(this.#refused(name, target, outcome))
  }

  #refused(
    method: string,
    { link, client, owner, allocation }: Target,
    { code, reason, peer }: Refusal,
  ): Refused {
    const { counters, links } = this.#core
    const explanation = peer && allocation?.policy.explain(peer)
    if (explanation) counters.peerRules[explanation.rule]++
    return {
      kind: 'refused',
      method,
      code,
      reason,
      transport: links.get(link)?.transport,
      client,
      user: owner?.username,
      peer: peer && explanation && { ...explanation, address: peer },
    }
  }
}

/** The address of the other family only to who has sent enough for it: his own may be forged. */
function writeRedirect(
  writer: StunWriter,
  request: Request,
  { address, otherFamily, domain }: NonNullable<Refusal['redirect']>,
): void {
  writer.addAddress(ATTRIBUTE.AlternateServer, address)
  if (otherFamily && !isTooShort(request)) writer.addAddress(ATTRIBUTE.AlternateServer, otherFamily)
  if (domain !== undefined) writer.addText(ATTRIBUTE.AlternateDomain, domain)
}

function isTooShort({ from, reader }: Request): boolean {
  return from.remote === undefined && reader.length < CHALLENGED_BYTES_MIN
}

/** What a challenge offers; an allocation goes on with what made it, as it keeps that key only. */
function featuresFor(allocation: Allocation | undefined, configured: number): number {
  if (!allocation) return configured
  return allocation.owner.algorithm === undefined ? 0 : configured | FEATURE.PasswordAlgorithms
}

interface Target {
  readonly link: number
  readonly client: TransportAddress
  readonly owner: AllocationOwner | undefined
  readonly allocation: Allocation | undefined
}
