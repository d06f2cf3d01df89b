-- A database as the first release (revision 0001) left it, with made-up rows of two sites.
-- The vault's key is bytes 0 to 31. It is never made anew: what it was, upgrades must take.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE client (
	site_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	prefix TEXT NOT NULL, 
	secret_hash TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	revoked_at TEXT, 
	CONSTRAINT pk_client PRIMARY KEY (site_id, id), 
	CONSTRAINT uq_client_prefix UNIQUE (prefix), 
	CONSTRAINT uq_client_site_id_name UNIQUE (site_id, name), 
	CONSTRAINT fk_client_site_id FOREIGN KEY(site_id) REFERENCES site (id)
);
INSERT INTO "client" VALUES('id-0001','id-0004','mirth','fb_id-0001','0000000000000000000000000000000000000000000000000000000000000000','2024-05-01T00:00:04.000000Z',NULL);
INSERT INTO "client" VALUES('id-0001','id-0015','gone','fb_gone','1111111111111111111111111111111111111111111111111111111111111111','2024-05-01T00:00:20.000000Z','2024-05-01T00:00:21.000000Z');
INSERT INTO "client" VALUES('id-0016','id-0019','mirth','fb_id-0016','0000000000000000000000000000000000000000000000000000000000000000','2024-05-01T00:00:26.000000Z',NULL);
CREATE TABLE connection (
	site_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	base_url TEXT NOT NULL, 
	auth_kind TEXT NOT NULL, 
	auth_cipher BLOB, 
	created_at TEXT NOT NULL, 
	CONSTRAINT pk_connection PRIMARY KEY (site_id, id), 
	CONSTRAINT uq_connection_site_id_name UNIQUE (site_id, name), 
	CONSTRAINT fk_connection_site_id FOREIGN KEY(site_id) REFERENCES site (id)
);
INSERT INTO "connection" VALUES('id-0001','id-0003','hapi','http://hospital.example/fhir','none',NULL,'2024-05-01T00:00:03.000000Z');
INSERT INTO "connection" VALUES('id-0001','id-0014','sealed','http://other.example/fhir','bearer',X'D6FF7770808B38EC992BE843BC6C52983FD426885C436283B787E928D21752A204B68B5B7836D6A78D4A6D','2024-05-01T00:00:19.000000Z');
INSERT INTO "connection" VALUES('id-0016','id-0018','hapi','http://hospital.example/fhir','none',NULL,'2024-05-01T00:00:25.000000Z');
CREATE TABLE cursor (
	site_id TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	stream TEXT NOT NULL, 
	state TEXT NOT NULL, 
	next_url TEXT, 
	page INTEGER NOT NULL, 
	updated_at TEXT NOT NULL, 
	CONSTRAINT pk_cursor PRIMARY KEY (site_id, run_id, stream), 
	CONSTRAINT fk_cursor_site_id_run_id FOREIGN KEY(site_id, run_id) REFERENCES sync_run (site_id, id)
);
INSERT INTO "cursor" VALUES('id-0001','id-0012','Condition','open','http://h/2',1,'2024-05-01T00:00:16.000000Z');
INSERT INTO "cursor" VALUES('id-0016','id-0027','Condition','open','http://h/2',1,'2024-05-01T00:00:38.000000Z');
CREATE TABLE delivery (
	site_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	connection_id TEXT NOT NULL, 
	resource_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	remote_id TEXT, 
	remote_version TEXT, 
	sent_sha256 TEXT, 
	attempts INTEGER NOT NULL, 
	issues TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	CONSTRAINT pk_delivery PRIMARY KEY (site_id, id), 
	CONSTRAINT uq_delivery_site_id_connection_id_resource_id UNIQUE (site_id, connection_id, resource_id), 
	CONSTRAINT fk_delivery_site_id_connection_id FOREIGN KEY(site_id, connection_id) REFERENCES connection (site_id, id), 
	CONSTRAINT fk_delivery_site_id_resource_id FOREIGN KEY(site_id, resource_id) REFERENCES resource (site_id, id)
);
INSERT INTO "delivery" VALUES('id-0001','id-0013','id-0003','id-0010','sent',NULL,NULL,'a8d7b6bd22c56189d9daadb09bb74304665f72487d32fbafc11b7af6cb0405d7',0,'[]','2024-05-01T00:00:17.000000Z');
INSERT INTO "delivery" VALUES('id-0016','id-0028','id-0018','id-0025','sent',NULL,NULL,'a8d7b6bd22c56189d9daadb09bb74304665f72487d32fbafc11b7af6cb0405d7',0,'[]','2024-05-01T00:00:39.000000Z');
CREATE TABLE message (
	site_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	source TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	body BLOB NOT NULL, 
	received_at TEXT NOT NULL, 
	state TEXT NOT NULL, 
	CONSTRAINT pk_message PRIMARY KEY (site_id, id), 
	CONSTRAINT uq_message_site_id_source_key UNIQUE (site_id, source, "key"), 
	CONSTRAINT fk_message_site_id FOREIGN KEY(site_id) REFERENCES site (id)
);
INSERT INTO "message" VALUES('id-0001','id-0006','client:mirth','bundle','k-1','397c79e6ce479194f75f390584db99271bf14440c24cb11200db8694f4e9f254',X'7B227265736F7572636554797065223A2242756E646C65227D','2024-05-01T00:00:07.000000Z','kept');
INSERT INTO "message" VALUES('id-0016','id-0021','client:mirth','bundle','k-1','397c79e6ce479194f75f390584db99271bf14440c24cb11200db8694f4e9f254',X'7B227265736F7572636554797065223A2242756E646C65227D','2024-05-01T00:00:29.000000Z','kept');
CREATE TABLE origin (
	site_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	source TEXT NOT NULL, 
	resource_type TEXT NOT NULL, 
	source_id TEXT NOT NULL, 
	version_id TEXT, 
	last_updated TEXT, 
	sha256 TEXT NOT NULL, 
	subject_id TEXT, 
	record_id TEXT, 
	seen_at TEXT NOT NULL, 
	CONSTRAINT pk_origin PRIMARY KEY (site_id, id), 
	CONSTRAINT uq_origin_site_id_source_resource_type_source_id UNIQUE (site_id, source, resource_type, source_id), 
	CONSTRAINT fk_origin_site_id FOREIGN KEY(site_id) REFERENCES site (id), 
	CONSTRAINT fk_origin_site_id_record_id FOREIGN KEY(site_id, record_id) REFERENCES record (site_id, id) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_origin_site_id_subject_id FOREIGN KEY(site_id, subject_id) REFERENCES subject (site_id, id)
);
INSERT INTO "origin" VALUES('id-0001','id-0007','client:mirth','Condition','src-1','1',NULL,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','id-0002','record-1','2024-05-01T00:00:09.000000Z');
INSERT INTO "origin" VALUES('id-0016','id-0022','client:mirth','Condition','src-1','1',NULL,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','id-0017','record-1','2024-05-01T00:00:31.000000Z');
CREATE TABLE proposal (
	site_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	record_id TEXT NOT NULL, 
	field TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	value TEXT NOT NULL, 
	status TEXT NOT NULL, 
	origin_id TEXT, 
	message_id TEXT, 
	position INTEGER, 
	path TEXT, 
	rule TEXT, 
	mapping_version TEXT NOT NULL, 
	at TEXT NOT NULL, 
	CONSTRAINT pk_proposal PRIMARY KEY (site_id, id), 
	CONSTRAINT uq_proposal_site_id_record_id_field_number UNIQUE (site_id, record_id, field, number), 
	CONSTRAINT fk_proposal_site_id_message_id FOREIGN KEY(site_id, message_id) REFERENCES message (site_id, id), 
	CONSTRAINT fk_proposal_site_id_origin_id FOREIGN KEY(site_id, origin_id) REFERENCES origin (site_id, id), 
	CONSTRAINT fk_proposal_site_id_record_id FOREIGN KEY(site_id, record_id) REFERENCES record (site_id, id) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO "proposal" VALUES('id-0001','id-0008','record-1','size',1,'1.10','waiting',NULL,NULL,NULL,NULL,NULL,'m1','2024-05-01T00:00:10.000000Z');
INSERT INTO "proposal" VALUES('id-0001','id-0009','record-1','side',1,'"left"','accepted',NULL,NULL,NULL,NULL,NULL,'m1','2024-05-01T00:00:11.000000Z');
INSERT INTO "proposal" VALUES('id-0016','id-0023','record-1','size',1,'1.10','waiting',NULL,NULL,NULL,NULL,NULL,'m1','2024-05-01T00:00:32.000000Z');
INSERT INTO "proposal" VALUES('id-0016','id-0024','record-1','side',1,'"left"','accepted',NULL,NULL,NULL,NULL,NULL,'m1','2024-05-01T00:00:33.000000Z');
CREATE TABLE quarantine (
	site_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	message_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	part INTEGER NOT NULL, 
	resource_type TEXT, 
	source_id TEXT, 
	issues TEXT NOT NULL, 
	state TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	released_at TEXT, 
	CONSTRAINT pk_quarantine PRIMARY KEY (site_id, id), 
	CONSTRAINT uq_quarantine_site_id_message_id_position_part UNIQUE (site_id, message_id, position, part), 
	CONSTRAINT fk_quarantine_site_id_message_id FOREIGN KEY(site_id, message_id) REFERENCES message (site_id, id)
);
INSERT INTO "quarantine" VALUES('id-0001','id-0011','id-0006',1,0,'Condition','src-2','[]','waiting','2024-05-01T00:00:14.000000Z',NULL);
INSERT INTO "quarantine" VALUES('id-0016','id-0026','id-0021',1,0,'Condition','src-2','[]','waiting','2024-05-01T00:00:36.000000Z',NULL);
CREATE TABLE receipt (
	site_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	message_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	counts TEXT NOT NULL, 
	issues TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	CONSTRAINT pk_receipt PRIMARY KEY (site_id, id), 
	CONSTRAINT uq_receipt_site_id_message_id UNIQUE (site_id, message_id), 
	CONSTRAINT fk_receipt_site_id_message_id FOREIGN KEY(site_id, message_id) REFERENCES message (site_id, id)
);
INSERT INTO "receipt" VALUES('id-0001','receipt-1','id-0006','done','{"applied":1}','[]','2024-05-01T00:00:13.000000Z');
INSERT INTO "receipt" VALUES('id-0016','receipt-1','id-0021','done','{"applied":1}','[]','2024-05-01T00:00:35.000000Z');
CREATE TABLE receipt_entry (
	site_id TEXT NOT NULL, 
	receipt_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	part INTEGER NOT NULL, 
	fate TEXT NOT NULL, 
	resource_type TEXT, 
	source_id TEXT, 
	identifier TEXT, 
	record_id TEXT, 
	rule TEXT, 
	mapping_version TEXT, 
	issues TEXT NOT NULL, 
	CONSTRAINT pk_receipt_entry PRIMARY KEY (site_id, receipt_id, position, part), 
	CONSTRAINT fk_receipt_entry_site_id_receipt_id FOREIGN KEY(site_id, receipt_id) REFERENCES receipt (site_id, id), 
	CONSTRAINT fk_receipt_entry_site_id_record_id FOREIGN KEY(site_id, record_id) REFERENCES record (site_id, id) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO "receipt_entry" VALUES('id-0001','receipt-1',0,0,'applied',NULL,NULL,NULL,'record-1',NULL,NULL,'[]');
INSERT INTO "receipt_entry" VALUES('id-0016','receipt-1',0,0,'applied',NULL,NULL,NULL,'record-1',NULL,NULL,'[]');
CREATE TABLE record (
	site_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	subject_id TEXT NOT NULL, 
	form TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	fields TEXT NOT NULL, 
	status TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	mapping_version TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	CONSTRAINT pk_record PRIMARY KEY (site_id, id), 
	CONSTRAINT uq_record_site_id_subject_id_form_key UNIQUE (site_id, subject_id, form, "key"), 
	CONSTRAINT fk_record_site_id_subject_id FOREIGN KEY(site_id, subject_id) REFERENCES subject (site_id, id)
);
INSERT INTO "record" VALUES('id-0001','record-1','id-0002','lesion','1','{"size":3,"side":"left"}','active',2,'m1','2024-05-01T00:00:18.000000Z');
INSERT INTO "record" VALUES('id-0016','record-1','id-0017','lesion','1','{"size":3,"side":"left"}','active',2,'m1','2024-05-01T00:00:40.000000Z');
CREATE TABLE resource (
	site_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	record_id TEXT NOT NULL, 
	block TEXT NOT NULL, 
	type TEXT NOT NULL, 
	fhir_id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	last_updated TEXT NOT NULL, 
	body TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	deleted BOOLEAN NOT NULL, 
	CONSTRAINT pk_resource PRIMARY KEY (site_id, id), 
	CONSTRAINT uq_resource_site_id_record_id_block UNIQUE (site_id, record_id, block), 
	CONSTRAINT uq_resource_site_id_type_fhir_id UNIQUE (site_id, type, fhir_id), 
	CONSTRAINT fk_resource_site_id_record_id FOREIGN KEY(site_id, record_id) REFERENCES record (site_id, id)
);
INSERT INTO "resource" VALUES('id-0001','id-0010','record-1','lesion','Condition','fhir-1',1,'2024-05-01T00:00:12.000000Z','{"resourceType":"Condition","id":"fhir-1","onsetAge":{"value":61.0}}','a8d7b6bd22c56189d9daadb09bb74304665f72487d32fbafc11b7af6cb0405d7',0);
INSERT INTO "resource" VALUES('id-0016','id-0025','record-1','lesion','Condition','fhir-1',1,'2024-05-01T00:00:34.000000Z','{"resourceType":"Condition","id":"fhir-1","onsetAge":{"value":61.0}}','a8d7b6bd22c56189d9daadb09bb74304665f72487d32fbafc11b7af6cb0405d7',0);
CREATE TABLE resource_date (
	site_id TEXT NOT NULL, 
	resource_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	low TEXT NOT NULL, 
	high TEXT NOT NULL, 
	CONSTRAINT pk_resource_date PRIMARY KEY (site_id, resource_id, name, low, high), 
	CONSTRAINT fk_resource_date_site_id_resource_id FOREIGN KEY(site_id, resource_id) REFERENCES resource (site_id, id)
);
INSERT INTO "resource_date" VALUES('id-0001','id-0010','onset','2024-01-01','2024-01-31');
INSERT INTO "resource_date" VALUES('id-0016','id-0025','onset','2024-01-01','2024-01-31');
CREATE TABLE resource_token (
	site_id TEXT NOT NULL, 
	resource_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	system TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_resource_token PRIMARY KEY (site_id, resource_id, name, system, value), 
	CONSTRAINT fk_resource_token_site_id_resource_id FOREIGN KEY(site_id, resource_id) REFERENCES resource (site_id, id)
);
INSERT INTO "resource_token" VALUES('id-0001','id-0010','code','urn:s','c1');
INSERT INTO "resource_token" VALUES('id-0016','id-0025','code','urn:s','c1');
CREATE TABLE revision (
	site_id TEXT NOT NULL, 
	record_id TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	message_id TEXT, 
	mapping_version TEXT NOT NULL, 
	status TEXT NOT NULL, 
	changes TEXT NOT NULL, 
	CONSTRAINT pk_revision PRIMARY KEY (site_id, record_id, number), 
	CONSTRAINT fk_revision_site_id_message_id FOREIGN KEY(site_id, message_id) REFERENCES message (site_id, id), 
	CONSTRAINT fk_revision_site_id_record_id FOREIGN KEY(site_id, record_id) REFERENCES record (site_id, id)
);
INSERT INTO "revision" VALUES('id-0001','record-1',1,'2024-05-01T00:00:08.000000Z','client:a','pushed',NULL,'m1','active','{"size":[null,1.10]}');
INSERT INTO "revision" VALUES('id-0001','record-1',2,'2024-05-01T00:00:18.000000Z','client:mirth','pushed','id-0006','m1','active','{"side":[null,"left"],"size":[1.10,3]}');
INSERT INTO "revision" VALUES('id-0016','record-1',1,'2024-05-01T00:00:30.000000Z','client:a','pushed',NULL,'m1','active','{"size":[null,1.10]}');
INSERT INTO "revision" VALUES('id-0016','record-1',2,'2024-05-01T00:00:40.000000Z','client:mirth','pushed','id-0021','m1','active','{"side":[null,"left"],"size":[1.10,3]}');
CREATE TABLE site (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	unmatched TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	CONSTRAINT pk_site PRIMARY KEY (id), 
	CONSTRAINT uq_site_name UNIQUE (name)
);
INSERT INTO "site" VALUES('id-0001','Alpha','hold','2024-05-01T00:00:00.000000Z');
INSERT INTO "site" VALUES('id-0016','Beta','enrol','2024-05-01T00:00:22.000000Z');
CREATE TABLE subject (
	site_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	study_id TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	CONSTRAINT pk_subject PRIMARY KEY (site_id, id), 
	CONSTRAINT uq_subject_site_id_study_id UNIQUE (site_id, study_id), 
	CONSTRAINT fk_subject_site_id FOREIGN KEY(site_id) REFERENCES site (id)
);
INSERT INTO "subject" VALUES('id-0001','id-0002','S-1','2024-05-01T00:00:01.000000Z');
INSERT INTO "subject" VALUES('id-0016','id-0017','S-1','2024-05-01T00:00:23.000000Z');
CREATE TABLE subject_identity (
	site_id TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	cipher BLOB NOT NULL, 
	subject_id TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	CONSTRAINT pk_subject_identity PRIMARY KEY (site_id, hash), 
	CONSTRAINT fk_subject_identity_site_id_subject_id FOREIGN KEY(site_id, subject_id) REFERENCES subject (site_id, id)
);
INSERT INTO "subject_identity" VALUES('id-0001','f62d51bccead9511444c6db7089f1a2f33c4c49e85f59faaffccb9b45e97de0a',X'4EC8FFE762CA7A4B792A4BDA11482E23877C053382D148B8EDBD5380DE65529B41CF38BEC5E0BB4BF249C41A6B3A9E5A735F2E564F5BA1FD6F7CD892AF282F4292993F9EDEC5','id-0002','2024-05-01T00:00:02.000000Z');
INSERT INTO "subject_identity" VALUES('id-0016','38eeebb600daf781c619199080ebb84060e9351a6e7da18e339243f36044461e',X'AB09C28F039E29A874D993F383E2D87E37BC721D8D085DA815CAE9B7615210321A9E75A2652358181400468CB2A8128C3EB896D5B3442448039E256BDE84C23FF1407B9CAB54','id-0017','2024-05-01T00:00:24.000000Z');
CREATE TABLE sync_run (
	site_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	connection_id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	counts TEXT NOT NULL, 
	reasons TEXT NOT NULL, 
	started_at TEXT NOT NULL, 
	ended_at TEXT, 
	CONSTRAINT pk_sync_run PRIMARY KEY (site_id, id), 
	CONSTRAINT fk_sync_run_site_id_connection_id FOREIGN KEY(site_id, connection_id) REFERENCES connection (site_id, id)
);
INSERT INTO "sync_run" VALUES('id-0001','id-0012','id-0003','pull','running','{}','[]','2024-05-01T00:00:15.000000Z',NULL);
INSERT INTO "sync_run" VALUES('id-0016','id-0027','id-0018','pull','running','{}','[]','2024-05-01T00:00:37.000000Z',NULL);
CREATE INDEX ix_subject_identity_site_id_subject_id ON subject_identity (site_id, subject_id);
CREATE INDEX ix_origin_site_id_record_id ON origin (site_id, record_id);
CREATE INDEX ix_proposal_site_id_status ON proposal (site_id, status);
CREATE INDEX ix_quarantine_site_id_state_created_at ON quarantine (site_id, state, created_at);
CREATE INDEX ix_resource_token_site_id_name_value_system ON resource_token (site_id, name, value, system);
CREATE INDEX ix_resource_date_site_id_name_low ON resource_date (site_id, name, low);
CREATE UNIQUE INDEX uq_sync_run_running ON sync_run (site_id, connection_id, kind) WHERE ended_at IS NULL;
COMMIT;
