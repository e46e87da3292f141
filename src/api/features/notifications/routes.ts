import { z } from 'zod'
import {
  notificationId,
  notificationPage,
  notificationQuery,
  notificationView,
} from '../../../shared/wire/notifications.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { NotificationService } from './service.ts'

const tags = ['Notifications']
const config = { permission: 'notifications.read' } as const

export function registerNotificationRoutes(app: ApiApp, notifications: NotificationService): void {
  app.get(
    '/v1/notifications',
    {
      config,
      schema: {
        tags,
        operationId: 'listNotifications',
        summary: 'List your notifications, newest first',
        description: 'They are kept for 90 days. New ones also come over the WebSocket.',
        querystring: notificationQuery,
        response: { 200: answer('A page of notifications', notificationPage) },
      },
    },
    (request) => notifications.list(callerOf(request), request.query),
  )
  app.post(
    '/v1/notifications/:id/read',
    {
      config: { ...config, problems: ['notification.not_found'] },
      schema: {
        tags,
        operationId: 'readNotification',
        summary: 'Note that you have read a notification',
        description: 'Repeating it is fine: the first time stays.',
        params: z.strictObject({ id: notificationId }),
        response: { 200: answer('The notification', notificationView) },
      },
    },
    (request) => notifications.markRead(callerOf(request), request.params.id),
  )
  app.post(
    '/v1/notifications/read',
    {
      config,
      schema: {
        tags,
        operationId: 'readAllNotifications',
        summary: 'Note that you have read all your notifications',
        response: { 204: z.undefined().describe('All are read') },
      },
    },
    async (request, reply) => {
      await notifications.markAllRead(callerOf(request))
      return reply.code(204).send()
    },
  )
}
