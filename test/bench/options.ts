import { CONTENDERS, type Contender } from './contenders.ts'

/** The value of an option that is a whole number above 0; throws an Error that names it otherwise. */
export function wholeNumber(name: string, text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new Error(`--${name} must be a whole number above 0, and is ${text}`)
}

/** The value of an option that is one of a few words. */
export function oneOf<T extends string>(name: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === text)
  if (found) return found
  throw new Error(`--${name} must be one of ${allowed.join(', ')}, and is ${text}`)
}

/** The servers that `--servers` names, with commas between. */
export function namedContenders(list: string): Contender[] {
  return list.split(',').map((name) => {
    const make = CONTENDERS[name]
    if (!make) throw new Error(`--servers: there is no ${name}, only ${Object.keys(CONTENDERS).join(', ')}`)
    return make()
  })
}
