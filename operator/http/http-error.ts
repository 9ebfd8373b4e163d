/** An answer other than success: `code` is for programs, `message` tells a person what to do next. */
export class HttpError extends Error {
  readonly status: number
  readonly code: string
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, code: string, message: string, headers: Record<string, string> = {}) {
    super(message)
    this.status = status
    this.code = code
    this.headers = headers
  }
}

export function unauthenticated(message: string): HttpError {
  return new HttpError(401, 'unauthenticated', message, { 'www-authenticate': 'Bearer realm="turnfleet"' })
}

export function forbidden(message: string): HttpError {
  return new HttpError(403, 'forbidden', message)
}

export function badRequest(message: string): HttpError {
  return new HttpError(400, 'bad_request', message)
}

export function notFound(message: string): HttpError {
  return new HttpError(404, 'not_found', message)
}

export function unavailable(code: string, message: string, retryAfterSeconds: number): HttpError {
  return new HttpError(503, code, message, { 'retry-after': String(retryAfterSeconds) })
}

export function tooManyRequests(retryAfterSeconds: number): HttpError {
  const message = `too many requests: try again in ${retryAfterSeconds} s, or have the quota of this key raised`
  return new HttpError(429, 'too_many_requests', message, { 'retry-after': String(retryAfterSeconds) })
}
