import type { Database } from '../platform/mongo/database.ts'
import type { PubSub } from '../platform/redis/pub-sub.ts'
import type { Seal } from '../platform/seal/seal.ts'
import type { Clock } from '../shared/clock.ts'
import { newJobId, type RandomBytes } from '../shared/domain/job-id.ts'
import { type AuditLogStore, createAuditLogStore } from './features/audit-log/store.ts'
import { openOutboxes } from './features/audit-log/outboxes.ts'
import { type AuditTrail, createAuditTrail, type OutboxStore } from './features/audit-log/trail.ts'
import { relayOutboxes } from './features/audit-log/trail.ts'
import { type DepartmentMemory, rememberDepartments } from './features/departments/remember.ts'
import { createDepartmentStore, type DepartmentStore } from './features/departments/store.ts'
import type { Notifier } from './features/notifications/contract.ts'
import { type NotificationEvents, openNotificationEvents } from './features/notifications/events.ts'
import { createNotifier, forgetNotifications } from './features/notifications/notifier.ts'
import { createNotificationStore, type NotificationStore } from './features/notifications/store.ts'
import type { CurrentSettings } from './features/settings/current.ts'
import { rememberSettings } from './features/settings/remember.ts'
import { createSettingsStore, type SettingsStore } from './features/settings/store.ts'
import { type Callers, rememberCallers } from './features/users/callers.ts'
import { createUserDirectory, type UserDirectory } from './features/users/directory.ts'
import { createIdentityStore } from './features/users/identities.ts'
import { type IdentityChanges, openIdentityChanges } from './features/users/identity-changes.ts'
import { createUserStore, type UserStore } from './features/users/store.ts'

/** Work that one replica does for all, again and again. */
export type LeaderTask = {
  readonly name: string
  readonly everyMs: number
  readonly run: () => Promise<unknown>
}

/** Who there is and what they may: below the services of people, jobs and departments alike. */
export type People = DepartmentMemory & {
  readonly users: UserStore
  readonly directory: UserDirectory
  readonly callers: Callers
  readonly changes: IdentityChanges
  readonly departments: DepartmentStore
  readonly settings: CurrentSettings
  /** After a change on this replica. */
  readonly forgetSettings: () => void
  readonly settingsStore: SettingsStore
  readonly auditLog: AuditLogStore
  readonly trail: AuditTrail
  readonly notifications: NotificationStore
  readonly notificationEvents: NotificationEvents
  /** Tells people what concerns them. */
  readonly notifier: Notifier
  readonly seal: Seal
  readonly newId: () => string
  readonly leaderTasks: readonly LeaderTask[]
}

export type PeopleDeps = {
  readonly database: Database
  readonly pubSub: PubSub
  readonly seal: Seal
  readonly clock: Clock
  readonly randomBytes: RandomBytes
}

export function openPeople({ database, pubSub, seal, clock, randomBytes }: PeopleDeps): People {
  const newId = (): string => newJobId(clock.nowMs(), randomBytes)
  const users = createUserStore(database)
  const auditLog = createAuditLogStore(database)
  const trail = createAuditTrail({ store: auditLog, clock, newId })
  const changes = openIdentityChanges(pubSub)
  const identities = createIdentityStore(database)
  const settingsStore = createSettingsStore(database)
  const remembered = rememberSettings(settingsStore, clock)
  const departments = createDepartmentStore(database, { trail, clock })
  const notifications = createNotificationStore(database)
  const notificationEvents = openNotificationEvents(pubSub)
  const ofSessions = ['sessions', 'apiKeys', 'signingKeys', 'invites'].map((one) =>
    openOutboxes(database, one),
  )
  const outboxes: readonly OutboxStore[] = [...ofSessions, users, departments, settingsStore]
  return {
    users,
    directory: createUserDirectory({ users, identities, trail, changes, clock, newId }),
    callers: rememberCallers(users, { clock, changes }),
    changes,
    departments,
    ...rememberDepartments(departments, clock),
    settings: remembered.current,
    forgetSettings: remembered.forget,
    settingsStore,
    auditLog,
    trail,
    notifications,
    notificationEvents,
    notifier: createNotifier({ notifications, events: notificationEvents, clock }),
    seal,
    newId,
    leaderTasks: [
      {
        name: 'relay-audit',
        everyMs: 5000,
        run: async () => await relayOutboxes(auditLog, outboxes),
      },
      {
        name: 'forget-notifications',
        everyMs: 3_600_000,
        run: async () => await forgetNotifications(notifications, clock.nowMs()),
      },
    ],
  }
}
