"""What the study's crosswalks must hold: the codes of its code book, and the words of its fields.

The codes are those that an official source states (tiers A and B of the code book), as numbers
only; their sources are told in the lines of mappings/crosswalks.
"""

from __future__ import annotations

from collections.abc import Mapping

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
CPT = "http://www.ama-assn.org/go/cpt"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"

CODES: Mapping[str, str] = {
    SNOMED: """
        94222008 128462008 94602001 94250008 94274006 94389000 94527001 94300004 94635006 94301000
        94382009 94219006 94478006 94337005 94353008 94504009 94480000 94383004 94221001 94508007
        94650002 94529003 94256002 94521000 94605004 94220000 94403001 94217008 91281000119103
        285618001 285619009 712849003 424887002 314990009 94225005 134421000 866087009 268029009
        409667007 409666003 704171000 287065007 445526000 274146004 11309881000119104
        11309921000119106 11314961000119102 11315001000119103 11304841000119108 11304881000119103
        443165006 71341001 310651003 41111004 310652005 29627003 2812003 55499008 85050009
        119524001 20760004 118495001 12611008 52687003 64605006 306783000 87342007 37783008
        118645006 22356005 85710004 82561000 12921003 54735007 64688005 51282000 421060004
        122494005 122495006 122496007 3572006 35769007 73903008 14806007 39976000 280849005
        61032001 21799000 65985001 113197003 79601000 51299004 56873002 62413002 23416004 89546000
        91609006 64234005 272673000 72001000 371195002 24136001 14016003 91116008 14705001
        67479001 88298007 16126006 56094003 50060007 73138009 86197001 6105006 32430008 71737002
        77435000 33766003 48405002 52120002 53983007 55492004 71996003 11808007 49967005 69950008
        21452006 48535007 78247007 25888004 25523003 15339008 59558009 24915002 5953002 22565002
        77644006 58830002 43993008 24028007 7771000 51440002 399488007 66459002 419161000 40415009
        46053002 260528009 261183002 261122009 255503000 254837009 399068003 254900004 363358000
        254637007 93880001 363518003 702391001 363478007 109989006 25370001 363406005 372244006
        399326009 285645000 12584003 282743009 301773003 49218002 297217002 71286001 363676003
        373808002 399707004 129428001 261004008 429892002 360156006 447295008 89344001 40945001
        51796005 60486006 88429005 10233009 274478003 428845007 710797004 708904001 708903007
        708926000 179097007 179104006 265132005 713086005 24538008 24468001 5342002 63668003
        79285000 19925008 737301002 11964008 26144004 699149005 1653007 76024009 65474005 86975004
        20055005 73231008 17572005 31096008 20649001 83896000 57470004 37053006 50082000 608808003
        608809006 608779000 608780002 708902002 771564009 608815006 448243002 52734007 265157000
        53081006 76915002 179319003 179326003 89108003 8020008 239468007 609588000 178887009
        46812009 7201000179108 450586006 68471001 54312007 6727008 51189002 63308005 75392004
        9047006 291661009 773171004 10739009 179259003 430435008 432431008 401226007 426243004
        431995006 431911003 112721006 275093002 447833007 55705006 10836008 178923005 709084008
        442429002 444204007 400053006 397117006 79733001 88312006 772044006 13995008 180011006
        112706000 72010008 34025002 19028008 60538001 112727005 764386009 1217123003 1156506007
        45643008 10611004 440252007 1162782007 1156526006 441799006 1156530009 168524008 33195004
        84755001 108290001 182992009 419620001 399307001 443729008 105480006 407563006 225908003
        406127006 1144798005 225399009 301379001 40196000 50415004 76948002 67849003 423740007
        423690003 761869008 425389002 422512005 422894000 423053003 423237006 273437007 273546003
        273446001 282145008 160683008 165243005 105503008 16973004 439740005 185389009 390906007
        448337001 428024001 419099009 184305005 103735009 363679005 82918005 702767007 443271005
        426252008 3998005 441684001 268910001 359746009 271299001 709137006 252416005 5880005
        111744007 31871009 213121005 58126003 609339001 33910007 225553008 302941001 28087009
        240267008 314201008 15970001000004108 203601000 128053003 59282003 233604007 410429000
        22298006 14669001
    """,
    ICD10CM: """
        C79.51 C79.52 C79.9 C7B.03 M84.50XA M84.511A M84.521A M84.522A M84.531A M84.550A M84.551A
        M84.552A M84.553A M84.559A M84.561A M84.562A M84.58XA M84.551D M84.551G M84.551K M84.551P
        M84.551S M84.48XA C50.911 C50.912 C50.919 C61 C34.90 C34.11 C64.1 C64.9 C73 C90.00 C22.0
        C18.9 C43.9 C67.9 C80.1 Z85.3 Z85.46 Z85.118 Z85.528 G89.3 G95.29 E83.52 Z51.0 Z79.83
        T84.110A T84.115A T84.124A T84.125A T84.194A T84.195A T84.620A T84.621A T84.010A T84.020A
        T84.51XA T81.31XA T81.41XA T81.42XA M96.661 M96.662 M97.01XA I26.99 I82.411 M87.180 D62
        J95.821 R26.2 Z99.3 Z74.01 Z51.5
    """,
    PCS: """
        0QH604Z 0QH606Z 0QH634Z 0QH636Z 0QH704Z 0QH706Z 0QH734Z 0QH736Z 0QH804Z 0QH806Z 0QH836Z
        0QH904Z 0QH906Z 0QH936Z 0QHB04Z 0QHB06Z 0QHB36Z 0QHC04Z 0QHC06Z 0QHC36Z 0QHG04Z 0QHG06Z
        0QHG36Z 0QHH06Z 0PHC04Z 0PHC06Z 0PHF04Z 0PHF06Z 0PHF36Z 0PHG04Z 0PHG06Z 0PHG36Z 0QS604Z
        0QS606Z 0QS636Z 0QS706Z 0QS736Z 0QS804Z 0QS806Z 0QS836Z 0PSF04Z 0PSF06Z 0QSG06Z 0SR90JZ
        0SRB0JZ 0SRR0JZ 0SRS0JZ 0SRR019 0SR9019 0SRC0J9 0RRJ0JZ 0RRJ0J6 0RRJ00Z 0RRK0JZ 0QR60JZ
        0QR80JZ 0PRC0JZ 0PRF0JZ 0QB60ZZ 0QB70ZZ 0QB80ZZ 0QB90ZZ 0PBC0ZZ 0PBF0ZZ 0QB20ZZ 0QB40ZZ
        0QBG0ZZ 0QB00ZZ 0QT60ZZ 0QT70ZZ 0QT80ZZ 0PTC0ZZ 0QT40ZZ 0QU60JZ 0QU80JZ 0PUC0JZ 0PUF0JZ
        0QU40JZ 0QU43JZ 0QU03JZ 0PU43JZ 0PU33JZ 0QU13JZ 0QS03ZZ 0PS43ZZ 0PS33ZZ 0Q563ZZ 0Q583ZZ
        0Q503ZZ 0P543ZZ 0Q523ZZ 0QP604Z 0SW90JZ 0Y6C0Z1 0Y6C0Z2 0Y6D0Z1 0Y620ZZ 0Y630ZZ 0Y670ZZ
        0X680Z1 0X600ZZ DP091ZZ DP061ZZ DP081ZZ DP051ZZ DP0B1ZZ DP0C1ZZ CW7NPZZ CW7N8ZZ BQ03ZZZ
        BQ04ZZZ CP1Z1ZZ CW3NYZZ
    """,
    CPT: """
        27125 27130 27132 27134 27137 27138 77427 77431 77435 78815 78816 78812 78813
    """,
    RXNORM: """
        115264
    """,
    LOINC: """
        72514-3 38208-5 38214-3 38221-8 77565-0 98137-3 80316-3 71959-1 71961-7 71971-6 71969-0
        71967-4 71965-8 71963-3 71957-5 71955-9 89247-1 89243-0 LA9622-7 LA29176-7 58941-6 72097-9
        72095-3 82323-7 21889-1 33728-7 97509-4 75276-6 39818-0 25031-6 39816-4 81552-2 81551-4
        44139-4 37365-4 43518-0 24704-9 26122-2 26120-6 24762-7 28567-6 28561-9 25011-8 28613-8
        24983-9 24972-2 36067-7 28566-8 24867-4 24865-8 18748-4 11504-8 68602-2
    """,
}

WORDS: Mapping[str, str] = {
    "vertebral-level": "C1 C2 C3 C4 C5 C6 C7 T1 T2 T3 T4 T5 T6 T7 T8 T9 T10 T11 T12 L1 L2 L3 L4 L5 S1 S2 S3 S4 S5",
    "bone": "skull mandible cervical_spine thoracic_spine lumbar_spine sacrum coccyx clavicle scapula rib sternum humerus"
            " radius ulna hand pelvis ilium ischium pubis acetabulum femur patella tibia fibula foot other",
    "imaging-region": "skull mandible cervical_spine thoracic_spine lumbar_spine sacrum coccyx clavicle scapula rib sternum"
                      " humerus radius ulna hand pelvis ilium ischium pubis acetabulum femur patella tibia fibula foot other"
                      " whole_body spine hip",
    "bone-region": "proximal shaft distal",
    "laterality": "right left bilateral midline",
    "lesion-type": "lytic blastic mixed",
    "fracture-status": "none impending actual unknown",
    "subject-status": "candidate eligible follow_up ineligible not_registered off_study on_study on_study_intervention"
                      " on_study_observation pending_on_study potential_candidate screening withdrawn",
    "consent-scope": "study_data ehr_pull contact future_use",
    "consent-status": "active withdrawn rejected",
    "withdrawal-mode": "stop anonymise erase",
    "primary-site": "breast lung prostate kidney thyroid myeloma melanoma gastrointestinal unknown_primary other",
    "modality": "xray bone_scan ct mri pet_ct pet spect other",
    "modality-code": "xray bone_scan ct mri pet_ct pet spect other",
    "implant": "nail plate endoprosthesis megaprosthesis screws_rods cement external none other",
    "approach": "open percutaneous endoscopic other",
    "surgeon-role": "orthopaedic_oncology orthopaedics trauma spine neurosurgery other",
    "intent": "palliative curative preventive",
    "rt-intent": "palliative curative preventive supportive",
    "medication-intent": "palliative curative preventive supportive",
    "rt-modality": "photon electron proton radiopharmaceutical other",
    "rt-technique": "two_dimensional three_dimensional imrt vmat intraoperative other",
    "rt-relation": "pre_operative post_operative none",
    "rt-status": "completed in_progress stopped not_done",
    "termination-reason": "death lost_to_follow_up refused not_tolerated trial_completed",
    "medication-agent": "zoledronic_acid denosumab pamidronate ibandronate other_bone_modifying chemotherapy endocrine"
                        " targeted immunotherapy opioid other",
    "promis-pf-version": "v2_0 v1_2 promis_29",
    "promis-pi-version": "v1_0 promis_29",
    "msts-form": "lower upper",
    "tess-form": "lower upper",
    "visit": "baseline week_2 week_6 month_3 month_6 month_12 month_24 unscheduled",
    "ambulation": "independent aid wheelchair bed",
    "administered-by": "self staff proxy",
    "mode": "paper app telephone",
    "karnofsky-grade": "0 10 20 30 40 50 60 70 80 90 100",
    "complication-kind": "mechanical_failure infection wound non_union dislocation thrombosis embolism pneumonia cardiac renal"
                         " death local_progression other",
    "clavien": "I II IIIa IIIb IVa IVb V",
    "disease-status": "improved stable worsened undetermined",
    "evidence": "imaging examination histology marker",
    "care-role": "orthopaedic_oncology medical_oncology radiation_oncology radiology pathology palliative_care rehabilitation"
                 " nursing psycho_oncology study_nurse other",
    "provenance-activity": "create update withdraw",
}  # fmt: skip
"""Crosswalk: the words that a field of the study can have there."""
