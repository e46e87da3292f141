import { createSeal } from '../../platform/seal/seal.ts'
import { unreachable } from '../../shared/assert.ts'
import { createPasswords } from '../features/sessions/passwords.ts'
import { rotateSigningKey } from '../features/signing-keys/rotate.ts'
import { createSigningKeyStore } from '../features/signing-keys/store.ts'
import type { UserRow } from '../features/users/store.ts'
import { readSecrets } from '../secrets.ts'
import type { Command, CommandOf } from './command.ts'
import type { AdminParts } from './open.ts'
import { askPassword, generatePassword, readPassword, type Terminal } from './passwords.ts'
import {
  adminCli,
  createSuperAdmin,
  enable,
  isDepartment,
  listSuperAdmins,
  requireFreeAddress,
  setRole,
} from './people.ts'

export type RunDeps = {
  readonly parts: AdminParts
  readonly secretsFolder: string
  readonly randomBytes: (size: number) => Uint8Array
  readonly terminal: Terminal
}

/** Does one command; returns the lines for standard output. Errors: those of `people.ts`. */
export async function runCommand(deps: RunDeps, command: Command): Promise<readonly string[]> {
  const { parts } = deps
  switch (command.verb) {
    case 'create':
      return await create(deps, command)
    case 'list':
      return (await listSuperAdmins(parts)).map(describe)
    case 'set-role':
      return [describe(await setRole(parts, command))]
    case 'enable':
      return [describe(await enable(parts, command.email))]
    case 'rotate-keys':
      return [await rotateKeys(deps, command)]
    default:
      return unreachable(command)
  }
}

async function create(
  { parts, terminal, randomBytes }: RunDeps,
  command: CommandOf<'create'>,
): Promise<readonly string[]> {
  const { email, generate, department } = command
  await requireFreeAddress(parts, email)
  const generated = generate ? generatePassword(randomBytes) : null
  const password = generated ?? (await givenPassword(terminal, command))
  const hash = await createPasswords(randomBytes).hash(password)
  const row = await createSuperAdmin(parts, command, hash)
  if (!(await isDepartment(parts, department))) {
    terminal.stderr.write(`There is no department ${department} yet; it is needed for jobs only.\n`)
  }
  return generated === null ? [describe(row)] : [describe(row), generated]
}

async function givenPassword(terminal: Terminal, command: CommandOf<'create'>): Promise<string> {
  return command['password-stdin']
    ? await readPassword(terminal.stdin, command)
    : await askPassword(terminal, command)
}

async function rotateKeys(
  { parts, secretsFolder, randomBytes }: RunDeps,
  command: CommandOf<'rotate-keys'>,
): Promise<string> {
  const { sealKey } = await readSecrets(secretsFolder)
  const store = createSigningKeyStore(parts.database)
  const seal = createSeal(sealKey, randomBytes)
  const wish = { by: adminCli, revokeOld: command['revoke-old'] }
  return await rotateSigningKey({ ...parts, store, seal }, wish)
}

/** One line for people and for `cut`. */
function describe({ _id, email, role, department, state }: UserRow): string {
  return [_id, email, role, department, state].join('\t')
}
