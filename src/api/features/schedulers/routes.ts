import { schedulers } from '../../../shared/domain/job-schedulers.ts'
import { schedulerList, type SchedulerView } from '../../../shared/wire/schedulers.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'

/** What every release of the program can do is no secret of a department: there is no service. */
export function registerSchedulerRoutes(app: ApiApp): void {
  app.get(
    '/v1/schedulers',
    {
      config: { permission: 'models.read' },
      schema: {
        tags: ['Models'],
        operationId: 'listSchedulers',
        summary: 'List the schedulers that jobs may name',
        response: { 200: answer('All schedulers', schedulerList) },
      },
    },
    () => ({ items: schedulers.map(toView) }),
  )
}

function toView({ aliases, ...scheduler }: (typeof schedulers)[number]): SchedulerView {
  return { ...scheduler, aliases: [...aliases] }
}
