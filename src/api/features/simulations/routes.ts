import { simulationRequest } from '../../../shared/wire/job-requests.ts'
import { simulationView } from '../../../shared/wire/simulations.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { SimulationService } from './service.ts'

export function registerSimulationRoutes(app: ApiApp, simulations: SimulationService): void {
  app.post(
    '/v1/simulate',
    {
      config: {
        permission: 'jobs.create',
        rateClass: 'Submit',
        problems: ['request.too_large', 'request.media_type', 'model.not_found'],
      },
      schema: {
        tags: ['Jobs'],
        operationId: 'simulateJobs',
        summary: 'Ask when jobs would start and end, and what they would cost',
        description:
          'Holds nothing and makes nothing. The times come from the queue as it is and from measured ' +
          'run times: others may come first, and nobody knows how long a model takes that never ran.',
        body: simulationRequest,
        response: { 200: answer('Prices, times and what is left', simulationView) },
      },
    },
    async (request) => await simulations.simulate(callerOf(request), request.body),
  )
}
