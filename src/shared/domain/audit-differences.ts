/** What the audit can find: one word for each kind, the same in REST, metrics, logs and texts. */
export const differenceKinds = [
  'EntryMissing',
  'EntryInvalid',
  'EntryWithoutRow',
  'EntryWithoutAccount',
  'DoubleEnding',
  'ChainBroken',
  'WrongSum',
  'TransferLost',
  'TransferDiffers',
  'ReceiptWithoutTransfer',
  'OrphanHold',
  'RowWithoutHold',
  'ChargeDiffers',
  'RowWithoutResource',
  'ResourceWithoutRow',
  'OutputMissing',
  'ArtifactWithoutJob',
  'PictureMissing',
  'PictureWithoutOwner',
  'DepartmentDiffers',
] as const
export type DifferenceKind = (typeof differenceKinds)[number]

export const differenceMeanings: Readonly<Record<DifferenceKind, string>> = {
  EntryMissing: 'The ledger lacks an entry that an account or a job must have.',
  EntryInvalid: 'An entry moves what it cannot move: wrong sides, amounts, lots or expiries.',
  EntryWithoutRow: 'A settlement names a job of which there is no row.',
  EntryWithoutAccount: 'Entries go on after an account ends: it was put back, or is gone.',
  DoubleEnding: 'A hold was ended twice, or although it was not open.',
  ChainBroken: 'An entry is not what it was when it was written.',
  WrongSum: 'An account has other lots, holds or totals than its entries give.',
  TransferLost: 'Credits left an account, are not on their way and never arrived.',
  TransferDiffers: 'Other credits arrived than were sent.',
  ReceiptWithoutTransfer: 'Credits arrived that nobody sent.',
  OrphanHold: 'Credits are held for a job that has ended or that there is no row of.',
  RowWithoutHold: 'A job counts as paid for, and its account holds nothing for it.',
  ChargeDiffers: 'A job says another charge or payer than its entries.',
  RowWithoutResource: 'An open job had a GenerationJob, which has been gone for minutes.',
  ResourceWithoutRow: 'A GenerationJob has its credits, or has ended, and the api has no row.',
  OutputMissing: 'A job lists an output that the object store lacks or has other bytes of.',
  ArtifactWithoutJob: 'There are bytes, or a note of an upload, of a job without a row.',
  PictureMissing: 'A picture that somebody uploaded lies not in the object store.',
  PictureWithoutOwner: 'A picture was uploaded by somebody of whom there is no row.',
  DepartmentDiffers: 'The row and the custom resource of a department are not equal.',
}

export type Difference = {
  readonly kind: DifferenceKind
  /** Job id, account id, entry id, object key, picture id or name of a department. */
  readonly id: string
  readonly message: string
}
