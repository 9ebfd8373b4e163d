import { pino } from 'pino'

export type Logger = ReturnType<typeof createLogger>

/** JSON lines on standard output, written at once so that the last line before an end is not lost. */
export function createLogger(level: string) {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 1, sync: true }),
  )
}
