import { parseArgs } from 'node:util'
import { differenceKinds, differenceMeanings } from '../../shared/domain/audit-differences.ts'

const kindLines = differenceKinds.map((kind) => `  ${kind.padEnd(24)}${differenceMeanings[kind]}`)

export const usage = `Compares jobs, custom resources, holds, entries and artifacts, and changes
nothing. Every account is computed anew from its entries alone. It needs no running api, and may run
beside one.

  npm run audit                one line for each difference, and last "drift N"
  npm run audit -- --json      the same as JSON, with how much was looked at

  --data FOLDER    first argument; the embedded environment's data folder (default: .atelier)

On a server run node src/api/audit-cli/main.ts with MONGODB_URI, ATELIER_OBJECTS_FOLDER, and
KUBECONFIG and ATELIER_INSTALLATION if there are any, as the api has them.
Exit code: 0 all is equal, 1 something differs, 2 it could not look at everything.

What can differ:
${kindLines.join('\n')}
`

export type AuditCommand =
  | { readonly kind: 'Audit'; readonly isJson: boolean }
  | { readonly kind: 'Help' }
  | { readonly kind: 'Wrong'; readonly problem: string }

/** Reads the arguments after the program's name. */
export function readAuditCommand(args: readonly string[]): AuditCommand {
  try {
    const { values } = parseArgs({
      args: [...args],
      allowPositionals: false,
      options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    })
    if (values.help === true) return { kind: 'Help' }
    return { kind: 'Audit', isJson: values.json === true }
  } catch (error) {
    return { kind: 'Wrong', problem: error instanceof Error ? error.message : String(error) }
  }
}
