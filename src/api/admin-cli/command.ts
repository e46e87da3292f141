import { parseArgs } from 'node:util'
import { z } from 'zod'
import { labelName } from '../../shared/crd/common.ts'
import { emailAddress, language, line } from '../../shared/wire/text.ts'
import { appointedRoles } from '../../shared/wire/users.ts'

export const usage = `People and keys, for whoever runs the server. It needs no running api.

  npm run admin -- create --email ADDRESS --name NAME      a super admin, the first or another
        --department NAME      their department            (platform)
        --language ko|en       of their mails              (en)
        --password-stdin       read the password from standard input
        --generate             make a password and print it as the last line
  npm run admin -- list                                    all super admins
  npm run admin -- set-role --email ADDRESS --role ROLE    super_admin, department_admin or
                                                           department_member; approves guests
  npm run admin -- enable --email ADDRESS                  lets a disabled person sign in again
  npm run admin -- rotate-keys                             a new key for access tokens
        --revoke-old           at once, after a theft: everybody has to refresh

Without --password-stdin and --generate the password is asked for on the terminal; it is never an
argument, which other users of the machine could read.

  --data FOLDER    first argument; the embedded environment's data folder (default: .atelier)

On a server run node src/api/admin-cli/main.ts with MONGODB_URI and ATELIER_SECRETS_FOLDER as the
api has them. Exit code: 0 well, 1 refused, 2 wrong usage.
`

const email = emailAddress
const command = z.discriminatedUnion('verb', [
  z
    .strictObject({
      verb: z.literal('create'),
      email,
      name: line({ max: 128 }),
      department: labelName.default('platform'),
      language: language.default('en'),
      'password-stdin': z.boolean().default(false),
      generate: z.boolean().default(false),
    })
    .refine((one) => !(one.generate && one['password-stdin']), {
      path: ['generate'],
      error: 'and --password-stdin exclude each other',
    }),
  z.strictObject({ verb: z.literal('list') }),
  z.strictObject({ verb: z.literal('set-role'), email, role: z.enum(appointedRoles) }),
  z.strictObject({ verb: z.literal('enable'), email }),
  z.strictObject({ verb: z.literal('rotate-keys'), 'revoke-old': z.boolean().default(false) }),
])
export type Command = z.output<typeof command>
export type CommandOf<Verb extends Command['verb']> = Extract<Command, { readonly verb: Verb }>

/** An empty problem is a wish for help. */
export type WrongUsage = { readonly problem: string }

/** Reads the arguments after the program's name. */
export function readCommand(args: readonly string[]): Command | WrongUsage {
  const parsed = parse(args)
  if ('problem' in parsed) return parsed
  const { help, ...options } = parsed.values
  if (help === true) return { problem: '' }
  const [verb, ...rest] = parsed.positionals
  if (rest.length > 0) return { problem: `${rest[0]} is one word too many` }
  const result = command.safeParse({ verb, ...options })
  return result.success ? result.data : { problem: describe(result.error.issues) }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        email: { type: 'string' },
        name: { type: 'string' },
        department: { type: 'string' },
        language: { type: 'string' },
        role: { type: 'string' },
        'password-stdin': { type: 'boolean' },
        generate: { type: 'boolean' },
        'revoke-old': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

function describe(issues: readonly z.core.$ZodIssue[]): string {
  return issues.map(describeOne).join('\n')
}

function describeOne(issue: z.core.$ZodIssue): string {
  const [field] = issue.path
  if (field === 'verb') return 'say one of create, list, set-role, enable, rotate-keys'
  if (issue.code === 'unrecognized_keys') return `--${issue.keys[0]} does not belong here`
  const missing = issue.code === 'invalid_type' && issue.input === undefined
  return `--${String(field)} ${missing ? 'is missing' : issue.message}`
}
