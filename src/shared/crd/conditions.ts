/**
 * Condition types of our resources and every reason each may carry, with a sentence for people.
 * Clients branch on these words: adding one is fine, changing one is a breaking change.
 */
export const generationJobReasons = {
  CreditsReserved: {
    Reserved: 'The price is held on the payer’s account.',
    Pending: 'The api has not answered yet.',
    InsufficientCredits: 'The payer’s account does not cover the price; the job waits for credits.',
    HoldLimit: 'The payer has too many open holds; the job waits for one to end.',
    Ended: 'The job needs no hold because it has ended.',
  },
  Admitted: {
    Admitted: 'The job has its place and an attempt may start.',
    Queued: 'The job waits for its turn or for GPUs.',
    WaitingForQuota: 'Kueue has not admitted the job.',
    Suspended: 'spec.suspend is true.',
    Invalid: 'The controller cannot work on this object.',
    Ended: 'The job has ended.',
  },
  ModelReady: {
    Ready: 'The model exists, is ready and serves this task.',
    ModelLoading: 'The pod fetches the model; progress.fetch of the job says how far it is.',
    ModelNotFound: 'No Model has the name in spec.modelRef.',
    ModelNotReady: 'The Model exists but is not Ready.',
    UnsupportedTask: 'The Model does not list spec.task.',
    NotVisible: 'The Model is not visible to this department.',
  },
  PodsReady: {
    NotStarted: 'No attempt has started yet.',
    Running: 'The pod of the current attempt runs.',
    Starting: 'The pod of the current attempt is being created or scheduled.',
    BackingOff: 'The last attempt failed and the next one waits.',
    Ended: 'No pod of this job is left running.',
  },
  Succeeded: {
    Running: 'The job has not ended.',
    Completed: 'Every output is stored.',
    Cancelled: 'The job was cancelled.',
    DeadlineExceeded: 'The job ran longer than spec.activeDeadlineSeconds.',
    QueueTimeout: 'The job waited longer than spec.queueTimeoutSeconds.',
    InvalidInput: 'The request cannot be served; the message names the field.',
    InsufficientCredits: 'No credits arrived before the queue timeout.',
    BackoffLimitExceeded: 'Too many attempts failed.',
  },
} as const

export type GenerationJobConditionType = keyof typeof generationJobReasons

export const modelReasons = {
  Ready: {
    Ready: 'Jobs may use the model.',
    DeliveryUnsupported: 'The controller is not set up for addresses of this kind.',
    InvalidDelivery: 'The delivery is incomplete.',
  },
} as const

export const departmentReasons = {
  Ready: {
    Ready: 'The department’s namespace exists and may run jobs.',
    NamespaceMissing: 'The namespace in spec.namespace does not exist.',
    NamespaceForeign: 'The namespace is labelled for another department.',
  },
} as const

export const modelPoolReasons = {
  Ready: {
    Ready: 'Every wanted pod takes jobs.',
    ScalingUp: 'Pods are on their way.',
    ScaledToZero: 'No pod is kept; the first job that waits starts one.',
    Stopped: 'No pod is wanted, so jobs wait or run in pods of their own.',
    ModelNotFound: 'No Model has a name in spec.models.',
    ModelNotReady: 'A Model in spec.models is not Ready.',
    DeliveryUnsupported: 'The controller is not set up for the address of a Model in spec.models.',
    NotVisible: 'A Model in spec.models is not visible to the department of the namespace.',
    NoBaseModel: 'spec.models names LoRAs only.',
    NoMatchingGpu: 'No Node has GPUs of the kind in spec.gpu.',
    NameTaken: 'An object that is not the pool’s own has the name of one of its children.',
    Invalid: 'The controller cannot make what the pool needs; the message says why.',
  },
} as const

type ReasonsOf<Table> = { [Type in keyof Table]: keyof Table[Type] & string }
export type GenerationJobReason = ReasonsOf<typeof generationJobReasons>
