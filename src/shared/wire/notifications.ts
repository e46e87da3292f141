import { z } from 'zod'
import { pageQuery } from './pages.ts'

/** What a person can be told. The console has one sentence per kind and fills in the values. */
const notificationKinds = [
  'AccountApproved',
  'RoleChanged',
  'DepartmentChanged',
  'MembershipChanged',
  'GuestWaits',
  'SessionReuse',
  'CreditsReceived',
  'CreditsRevoked',
  'CreditsRequested',
  'CreditRequestApproved',
  'CreditRequestDeclined',
  'CreditsExpire',
  'BudgetUsed',
] as const
export type NotificationKind = (typeof notificationKinds)[number]

const exampleNotification = {
  id: '01jd6z0c5m8k2v3n4p5q6r7s8t.u-01jd6yzzk3c9w4x5y6z7a8b9c0',
  kind: 'RoleChanged',
  values: { role: 'department_admin' },
  creationTime: '2026-11-21T14:00:00.000Z',
  readTime: null,
} as const

export const notificationView = z
  .object({
    id: z.string(),
    kind: z.enum(notificationKinds),
    /** What the sentence of the kind names, such as `role`, `department`, `tier` or `name`. */
    values: z.record(z.string(), z.string()),
    creationTime: z.iso.datetime(),
    readTime: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Notification', examples: [exampleNotification] })
export type NotificationView = z.infer<typeof notificationView>

/** `unread` on the wire is the number of unread ones; more are counted as this many. */
export const unreadCountMax = 100

export const notificationPage = z
  .object({
    items: z.array(notificationView),
    next: z.string().nullable(),
    /** All unread ones, not only this page's; 100 says 100 or more. */
    unread: z.int().min(0).max(unreadCountMax),
  })
  .meta({
    id: 'NotificationPage',
    examples: [{ items: [exampleNotification], next: null, unread: 1 }],
  })
export type NotificationPage = z.infer<typeof notificationPage>

export const notificationQuery = pageQuery.extend({
  unread: z
    .enum(['true', 'false'])
    .optional()
    .transform((text) => text === 'true')
    .meta({ description: '`true` leaves out what has been read' }),
})
export type NotificationQuery = z.infer<typeof notificationQuery>

/** Id of a fact, a dot, id of a person. */
export const notificationId = z.string().regex(/^[0-9a-z]{26}\.[a-z0-9-]{1,63}$/)
