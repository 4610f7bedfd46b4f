/** The models that this build knows; their manifests are data, made by `scripts/make-manifests.ts`. */
import chat from '../models/littoral-chat-2m/manifest.json' with { type: 'json' }
import embed from '../models/littoral-embed-400k/manifest.json' with { type: 'json' }
import ocr from '../models/pp-ocr-rec/manifest.json' with { type: 'json' }
import nanodet from '../models/nanodet-g/manifest.json' with { type: 'json' }
import ppOcr from '../models/pp-ocr/manifest.json' with { type: 'json' }
import silero from '../models/silero-vad/manifest.json' with { type: 'json' }
import { ModelManifest } from './model.ts'

export const MANIFESTS: readonly ModelManifest[] = [embed, ocr, chat, ppOcr, nanodet, silero].map(
  (manifest) => ModelManifest.parse(manifest),
)
