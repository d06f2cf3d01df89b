"""A few forms of our own for the readers of files. Made up."""

from __future__ import annotations

from fhirbridge.study import definition

STUDY = definition.load("""id: files
title: Forms for the readers of files
canonical: http://files.example.org
forms:
  subject:
    fields:
      study_id: { type: text, required: true }
      hospital_ids: { type: ids }
      sex: { type: choice, choices: [male, female, other, unknown], absent: false }
  lesion:
    key: [lesion_id]
    fields:
      lesion_id: { type: text, required: true }
      bone: { type: choice, choices: [femur, tibia, pelvis] }
      fracture_status: { type: choice, choices: [none, impending, actual, unknown], absent: false }
      codes: { type: codes }
      primary: { type: reference, to: subject_cancer }
  subject_cancer:
    key: [cancer_id]
    fields:
      cancer_id: { type: text, required: true }
  surgery:
    key: [surgery_id]
    fields:
      surgery_id: { type: text, required: true }
      performed_on: { type: datetime, required: true }
      procedure: { type: choice, choices: [plate, nail], required: true, absent: false }
      lesions: { type: reference, to: lesion, many: true }
      evidence: { type: choice, choices: [imaging, marker], many: true }
      cement: { type: boolean }
      text: { type: text }
  assessment:
    key: [assessed_on]
    fields:
      assessed_on: { type: datetime, required: true }
      pain_rest: { type: integer, range: [0, 10] }
      promis_pf_t: { type: decimal, range: [0, 100] }
      ecog: { type: integer, range: [0, 5] }
""")
