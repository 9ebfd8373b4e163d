const FORM = /^(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?$/

/** Seconds of a duration such as `90s`, `10m` or `1h30m`; undefined where it has not that form. */
export function parseDuration(text: string): number | undefined {
  const match = FORM.exec(text)
  if (!match || text === '') return undefined
  const [hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0))
  return (hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0)
}

/** Seconds of a duration that validation has accepted; throws for one that it would not. */
export function durationSeconds(text: string): number {
  const seconds = parseDuration(text)
  if (seconds === undefined) throw new Error(`"${text}" is no duration: write it like 90s, 10m or 12h`)
  return seconds
}
