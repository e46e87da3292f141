import { parseArgs } from 'node:util'

export const sectionNames = [
  'kueue-itself',
  'kueue-pooled',
  'kueue-dedicated',
  'queued-pooled',
  'queued-dedicated',
  'rest',
  'deep',
  'fairness',
  'click',
  'writes',
  'pods',
  'ready',
] as const
export type SectionName = (typeof sectionNames)[number]

export type BenchOptions = {
  readonly help: boolean
  readonly sections: readonly SectionName[]
  /** Numbers of jobs are multiplied with it; 1: as the marks want it. */
  readonly scale: number
  /** A minute at rest instead of ten. */
  readonly short: boolean
  /** Write what was measured into operator-ranges.json. */
  readonly record: boolean
}

export const usage = `npm run bench:operator [-- [SECTION…] [OPTIONS]]

Measures the operator on a control plane of its own. Sections, all of them unless named:
  ${sectionNames.join(' ')}

  --scale NUMBER  share of the jobs, above 0 up to 1 (default 1); marks are for 1
  --short         60 s at rest instead of 600
  --record        keep the results in test/perf/operator-ranges.json for later comparisons
  --help          this text

Fails when a figure is more than 20 % worse than the recorded one of the same scale and cores.
`

/** Throws an Error with the usage on anything that it does not know. */
export function parseBenchOptions(args: readonly string[]): BenchOptions {
  const { values, positionals } = parse(args)
  const scale = Number(values.scale ?? '1')
  if (!(scale > 0 && scale <= 1)) throw wrong(`--scale ${values.scale}: above 0, up to 1`)
  const named = positionals.map(sectionOf)
  return {
    help: values.help ?? false,
    sections: named.length === 0 ? sectionNames : [...new Set(named)],
    scale,
    short: values.short ?? false,
    record: values.record ?? false,
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: 'boolean' },
        scale: { type: 'string' },
        short: { type: 'boolean' },
        record: { type: 'boolean' },
      },
    })
  } catch (cause) {
    throw wrong(cause instanceof Error ? cause.message : String(cause), cause)
  }
}

function sectionOf(name: string): SectionName {
  const known = sectionNames.find((section) => section === name)
  if (known === undefined) throw wrong(`there is no section ${name}`)
  return known
}

function wrong(what: string, cause?: unknown): Error {
  return new Error(`${what}\n\n${usage}`, { cause })
}
