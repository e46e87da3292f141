import { settingsChange, settingsView } from '../../../shared/wire/settings.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { SettingsService } from './service.ts'

const tags = ['Settings']

export function registerSettingsRoutes(app: ApiApp, settings: SettingsService): void {
  app.get(
    '/v1/settings',
    {
      config: { permission: 'settings.read' },
      schema: {
        tags,
        operationId: 'getSettings',
        summary: 'Read the settings of the site',
        response: { 200: answer('The settings and their revision', settingsView) },
      },
    },
    (request) => settings.get(callerOf(request)),
  )
  app.patch(
    '/v1/settings',
    {
      config: {
        permission: 'settings.update',
        problems: ['request.too_large', 'request.media_type', 'settings.changed'],
      },
      schema: {
        tags,
        operationId: 'changeSettings',
        summary: 'Change settings of the site',
        description:
          'Send only what changes, and the revision that you read. Caps count for new jobs and ' +
          'uploads; what was accepted stays as it was.',
        body: settingsChange,
        response: { 200: answer('The settings as they are now', settingsView) },
      },
    },
    (request) => settings.change(callerOf(request), request.body),
  )
}
