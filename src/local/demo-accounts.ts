import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { roles } from '../shared/domain/permissions.ts'
import { keptText } from './files.ts'

/** The file that tells the api which departments, people and credits a demo begins with. */
const demoAccountsSchema = z.object({
  departments: z.array(z.object({ name: z.string(), displayName: z.string() })),
  users: z.array(
    z.object({
      email: z.string(),
      password: z.string(),
      name: z.string(),
      role: z.enum(roles),
      department: z.string(),
    }),
  ),
  credits: z.array(
    z.object({
      account: z.object({ department: z.string(), user: z.string().optional() }),
      credits: z.string(),
    }),
  ),
})
export type DemoAccounts = z.infer<typeof demoAccountsSchema>
export type DemoUser = DemoAccounts['users'][number]

const people = [
  { email: 'admin@atelier.example', name: 'Ada Admin', role: 'super_admin', department: 'vision' },
  {
    email: 'lead@vision.example',
    name: 'Lena Lead',
    role: 'department_admin',
    department: 'vision',
  },
  {
    email: 'mina@vision.example',
    name: 'Mina Member',
    role: 'department_member',
    department: 'vision',
  },
  {
    email: 'otto@assembly.example',
    name: 'Otto Member',
    role: 'department_member',
    department: 'assembly',
  },
] as const

/** Made once per data folder, with random passwords. The departments are manifests/samples'. */
export async function makeDemoAccounts(path: string): Promise<DemoAccounts> {
  const text = await keptText(path, () => JSON.stringify(newDemoAccounts(), null, 2))
  return demoAccountsSchema.parse(JSON.parse(text))
}

function newDemoAccounts(): DemoAccounts {
  const departments = [
    { name: 'vision', displayName: 'Vision inspection' },
    { name: 'assembly', displayName: 'Assembly line' },
  ]
  const users = people.map((person) => ({
    ...person,
    password: randomBytes(9).toString('base64url'),
  }))
  const accounts = [
    ...departments.map(({ name }) => ({ department: name })),
    ...users.map(({ department, email }) => ({ department, user: email })),
  ]
  return {
    departments,
    users,
    credits: accounts.map((account) => ({ account, credits: '1000' })),
  }
}
