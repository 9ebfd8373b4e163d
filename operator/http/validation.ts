import type { z } from 'zod'
import { badRequest } from './http-error.ts'

/** Parses what a caller sent; throws a 400 that names the field. */
export function parseWith<S extends z.ZodType>(schema: S, value: unknown, part: string): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const field = issue?.path.length ? `${part}.${issue.path.join('.')}` : part
  throw badRequest(`${field}: ${issue?.message ?? 'is malformed'}`)
}
