"""A second, small study: another disease, other forms, every word of the definition. Made up."""

from __future__ import annotations

from fhirbridge.study import definition

TEXT = """id: wheeze
title: A made-up study of asthma
canonical: http://wheeze.example.org
instruments:
  diary: { title: Wheeze diary, version: "2", source: made up, licence: none }
visits:
  anchor: { form: attack, field: began_on, where: first }
  schedule:
    before: { target: -1, window: [-14, 0] }
    after: { target: 7, window: [3, 10] }
    late: { target: 30, window: [11, 60] }
  else: other
outcomes:
  primary: [diary.breath]
  secondary: [diary.sum, diary.triggers]
  from: before
  to: late
forms:
  child:
    title: Child
    fields:
      study_id: { type: text, required: true }
      numbers: { type: ids }
      school: { type: text, pattern: "[A-Z]{2}-[0-9]{1,3}" }
  attack:
    title: Attack
    key: [attack_id]
    fields:
      attack_id: { type: text, required: true }
      began_on: { type: datetime }
      first: { type: boolean }
      codes: { type: codes }
      severity: { type: choice, choices: [mild, severe, unknown], absent: false }
  diary:
    title: Diary
    key: [attack, day]
    fields:
      attack: { type: reference, to: attack, required: true }
      day: { type: date, required: true }
      attacks: { type: reference, to: attack, many: true }
      triggers: { type: choice, choices: [dust, cold, running], many: true }
      breath: { type: integer, range: [0, 10], better: lower, pick: { before: last }, instrument: diary, mid: { value: 1.5, source: made up, note: for tests } }
      grade: { type: integer, range: [0, 4], only: [0, 1, 4] }
      flow: { type: decimal, range: [0, 100], step: 2.5, unit: L/min }
      until: { type: datetime, after: day }
      woken: { type: datetime, precision: second }
      noted: { type: date, precision: day }
      sleep: { type: choice, choices: [cot, bed, tent], among: { age_form: { toddler: [cot, bed], pupil: [bed, tent] } } }
      nap: { type: boolean, with: { age_form: [toddler] } }
      puffs: { type: decimal, with: [device] }
      device: { type: text }
      age_form: { type: choice, choices: [toddler, pupil], absent: false }
      night: { type: integer, range: [0, 3] }
      play: { type: integer, range: [0, 3] }
      sport: { type: integer, range: [0, 3] }
      sum: { type: integer, with: [age_form], total: { by: { age_form: { toddler: [night, play], pupil: [night, sport] } }, alone: true } }
      worry_a: { type: decimal, range: [0, 1] }
      worry_b: { type: decimal, range: [0, 1] }
      worry: { type: decimal, range: [0, 2], total: { of: [worry_a, worry_b] } }
"""

STUDY = definition.load(TEXT)
