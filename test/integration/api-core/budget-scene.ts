import { randomBytes } from 'node:crypto'
import { Registry } from 'prom-client'
import type { UserRow } from '../../../src/api/features/users/store.ts'
import { emailIdentity } from '../../../src/api/features/users/identities.ts'
import type { NotificationRow } from '../../../src/api/features/notifications/store.ts'
import type { MailContent, Mailer } from '../../../src/api/mail/mailer.ts'
import { openMail } from '../../../src/api/mail/open-mail.ts'
import { openSealedMail } from '../../../src/api/mail/sealed-mail.ts'
import type { MailRow } from '../../../src/api/mail/store.ts'
import { createApiMetrics } from '../../../src/api/metrics.ts'
import type { MonthlyBudget } from '../../../src/shared/domain/budget.ts'
import type { Role } from '../../../src/shared/domain/permissions.ts'
import { type Scene, silentLog } from './scene.ts'

export type StoredMail = { readonly to: string; readonly content: MailContent }

/** People, departments and their mail around a scene; no mail leaves the database. */
export type BudgetScene = {
  readonly scene: Scene
  readonly mailer: Mailer
  /** Mails to an address, oldest first. */
  readonly mailsTo: (address: string) => Promise<readonly MailContent[]>
  readonly noticesOf: (userId: string) => Promise<readonly NotificationRow[]>
  readonly addPerson: (role: Role, department: string) => Promise<UserRow>
  /** A new department with a name of its own. */
  readonly addDepartment: (monthlyBudget?: MonthlyBudget | null) => Promise<string>
  readonly setBudget: (department: string, monthlyBudget: MonthlyBudget | null) => Promise<void>
  /** Puts the clock to a time, forward or back. */
  readonly goTo: (time: string) => void
}

export function openBudgetScene(scene: Scene): BudgetScene {
  const { parts, clock, deps } = scene
  const { people, database } = parts
  const { mailer } = openMail({
    ...deps,
    database,
    mailFrom: 'Atelier <atelier@api.test>',
    addTask: () => undefined,
    metrics: createApiMetrics(new Registry()),
    log: silentLog,
  })
  const setBudget: BudgetScene['setBudget'] = async (name, monthlyBudget) => {
    const row = await people.departments.find(name)
    if (row === null) throw new Error(`there is no department ${name}`)
    const target = { kind: 'Department', id: name, department: name }
    const audit = people.trail.entry('test', { action: 'department.changed', target })
    await people.departments.change(row, { set: { monthlyBudget }, audit, nowMs: clock.nowMs() })
  }
  return {
    scene,
    mailer,
    mailsTo: async (address) => {
      const sort = { creationTimeMs: 1 } as const
      const rows = await database.documents<MailRow>('mails').find({}, { sort, limit: 1000 })
      const mails = rows.map(({ sealed }): StoredMail => openSealedMail(deps.seal, sealed ?? ''))
      return mails.filter(({ to }) => to === address).map(({ content }) => content)
    },
    noticesOf: async (userId) =>
      await people.notifications.page({ userId, unreadOnly: false, limit: 100 }),
    addPerson: async (role, department) => {
      const email = `${role}-${randomBytes(5).toString('hex')}@budget.example`
      const draft = { email, name: 'Budi Budget', language: 'en', role, department } as const
      const identity = { _id: emailIdentity(email), kind: 'Email' } as const
      const facts = { identity, by: 'test', action: 'user.created' } as const
      const row = await people.directory.create({ ...draft, passwordHash: null }, facts)
      if (row === null) throw new Error('the address was taken')
      return row
    },
    addDepartment: async (monthlyBudget = null) => {
      const name = `b-${randomBytes(6).toString('hex')}`
      await people.departments.ensure({ name, displayName: name })
      await setBudget(name, monthlyBudget)
      return name
    },
    setBudget,
    goTo: (time) => clock.advance(Date.parse(time) - clock.nowMs()),
  }
}
