/** The models that this build knows. Generated from `models/` by `npm run generate`: do not edit. */
import littoralChat2m from '../../models/littoral-chat-2m/manifest.json' with { type: 'json' }
import littoralEmbed400k from '../../models/littoral-embed-400k/manifest.json' with { type: 'json' }
import nanodetG from '../../models/nanodet-g/manifest.json' with { type: 'json' }
import ppOcr from '../../models/pp-ocr/manifest.json' with { type: 'json' }
import ppOcrRec from '../../models/pp-ocr-rec/manifest.json' with { type: 'json' }
import sileroVad from '../../models/silero-vad/manifest.json' with { type: 'json' }
import { ModelManifest } from './model.ts'

export const MANIFESTS: readonly ModelManifest[] = [
  littoralChat2m,
  littoralEmbed400k,
  nanodetG,
  ppOcr,
  ppOcrRec,
  sileroVad,
].map((manifest) => ModelManifest.parse(manifest))
