CREATE SCHEMA IF NOT EXISTS ops;

GRANT USAGE ON SCHEMA ops TO classweave_app;

CREATE SCHEMA IF NOT EXISTS directory;

GRANT USAGE ON SCHEMA directory TO classweave_app;

CREATE SCHEMA IF NOT EXISTS compliance;

GRANT USAGE ON SCHEMA compliance TO classweave_app;

CREATE SCHEMA IF NOT EXISTS live;

GRANT USAGE ON SCHEMA live TO classweave_app;

CREATE SCHEMA IF NOT EXISTS attend;

GRANT USAGE ON SCHEMA attend TO classweave_app;

CREATE FUNCTION ops.current_organizations() RETURNS uuid[]
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce(
    string_to_array(nullif(current_setting('classweave.organizations', true), ''), ',')::uuid[],
    '{}'::uuid[])
$$;

CREATE FUNCTION ops.current_role_name() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce(nullif(current_setting('classweave.role', true), ''), 'anonymous')
$$;

CREATE FUNCTION ops.current_actor() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('classweave.actor', true), '')::uuid
$$;

CREATE FUNCTION ops.touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END $$;

CREATE FUNCTION ops.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'table %.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TYPE directory.class_role AS ENUM ('owner', 'co');

CREATE TYPE directory.enrollment_status AS ENUM ('active', 'withdrawn', 'moved');

CREATE TYPE directory.organization_kind AS ENUM ('district', 'school', 'university', 'faculty');

CREATE TYPE directory.subscription_tier AS ENUM ('free', 'basic', 'premium', 'enterprise');

CREATE TYPE directory.subscription_status AS ENUM ('trial', 'active', 'past_due', 'cancelled', 'expired');

CREATE TYPE directory.setting_type AS ENUM ('string', 'integer', 'boolean', 'json');

CREATE TYPE directory.person_role AS ENUM ('student', 'teacher', 'school_admin', 'district_admin', 'platform_admin', 'ops', 'curriculum');

CREATE TYPE directory.user_status AS ENUM ('invited', 'active', 'inactive');

CREATE TYPE directory.student_status AS ENUM ('active', 'inactive');

CREATE TYPE compliance.consent_kind AS ENUM ('take_part', 'recording', 'analysis', 'data_sharing', 'email', 'disclosure', 'ai_training');

CREATE TYPE compliance.consent_state AS ENUM ('given', 'refused', 'withdrawn', 'expired');

CREATE TYPE compliance.consent_method AS ENUM ('paper_form', 'in_person', 'e_mail', 'phone', 'student_of_age');

CREATE TYPE compliance.policy_type AS ENUM ('sound', 'words', 'measures', 'prompts', 'messages', 'events', 'sign_in_sessions', 'consent_history', 'audit');

CREATE TYPE compliance.request_kind AS ENUM ('export', 'erase');

CREATE TYPE compliance.subject_kind AS ENUM ('student', 'user');

CREATE TYPE compliance.request_status AS ENUM ('requested', 'completed');

CREATE TYPE live.session_status AS ENUM ('draft', 'scheduled', 'open', 'live', 'paused', 'ended', 'archived');

CREATE TYPE live.group_status AS ENUM ('forming', 'ready', 'active', 'paused', 'ended');

CREATE TYPE live.capture_mode AS ENUM ('per_student', 'shared_device');

CREATE TYPE live.prompt_status AS ENUM ('generated', 'acknowledged', 'used', 'dismissed', 'expired');

CREATE TYPE live.prompt_category AS ENUM ('facilitation', 'deepening', 'redirection', 'collaboration', 'assessment', 'energy', 'clarity');

CREATE TYPE live.priority AS ENUM ('high', 'medium', 'low');

CREATE TYPE live.timing AS ENUM ('immediate', 'next_break', 'session_end');

CREATE TYPE live.phase AS ENUM ('opening', 'development', 'synthesis', 'closure');

CREATE TYPE live.codec AS ENUM ('opus', 'pcm16');

CREATE TABLE attend.attendance_records (
	session_no BIGINT NOT NULL, 
	rev BIGINT NOT NULL, 
	marked_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	term INTEGER NOT NULL, 
	place SMALLINT NOT NULL, 
	status SMALLINT NOT NULL, 
	minutes SMALLINT, 
	id TEXT NOT NULL, 
	notes TEXT, 
	CONSTRAINT pk_attendance_records PRIMARY KEY (term, session_no, place), 
	CONSTRAINT ck_attendance_records_status CHECK (status BETWEEN 1 AND 4), 
	CONSTRAINT ck_attendance_records_minutes CHECK (minutes BETWEEN 0 AND 1440), 
	CONSTRAINT ck_attendance_records_notes_length CHECK (length(notes) <= 2000)
)
 PARTITION BY LIST (term);

CREATE TABLE directory.organizations (
	kind directory.organization_kind NOT NULL, 
	parent_id UUID, 
	name TEXT NOT NULL, 
	code TEXT, 
	state TEXT, 
	region TEXT, 
	superintendent_name TEXT, 
	contact_email TEXT, 
	contact_phone TEXT, 
	website TEXT, 
	student_count BIGINT DEFAULT 0 NOT NULL, 
	school_count BIGINT DEFAULT 0 NOT NULL, 
	teacher_count BIGINT DEFAULT 0 NOT NULL, 
	domain TEXT, 
	google_workspace_id TEXT, 
	admin_email TEXT, 
	subscription_tier directory.subscription_tier DEFAULT 'free' NOT NULL, 
	subscription_status directory.subscription_status DEFAULT 'active' NOT NULL, 
	max_teachers BIGINT, 
	current_teachers BIGINT DEFAULT 0 NOT NULL, 
	stripe_customer_id TEXT, 
	subscription_start_date TIMESTAMP WITH TIME ZONE, 
	subscription_end_date TIMESTAMP WITH TIME ZONE, 
	trial_ends_at TIMESTAMP WITH TIME ZONE, 
	ferpa_agreement BOOLEAN DEFAULT false NOT NULL, 
	coppa_compliant BOOLEAN DEFAULT false NOT NULL, 
	data_retention_days BIGINT DEFAULT 365 NOT NULL, 
	contract_details JSONB DEFAULT '{}'::jsonb NOT NULL, 
	is_active BOOLEAN DEFAULT true NOT NULL, 
	timezone TEXT DEFAULT 'UTC' NOT NULL, 
	locale TEXT DEFAULT 'en' NOT NULL, 
	deleted_at TIMESTAMP WITH TIME ZONE, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_organizations PRIMARY KEY (id), 
	CONSTRAINT ck_organizations_name_length CHECK (length(btrim(name)) BETWEEN 1 AND 200), 
	CONSTRAINT ck_organizations_retention_positive CHECK (data_retention_days > 0), 
	CONSTRAINT ck_organizations_max_teachers_not_negative CHECK (max_teachers >= 0), 
	CONSTRAINT ck_organizations_not_its_own_parent CHECK (parent_id <> id), 
	CONSTRAINT fk_organizations_parent_id FOREIGN KEY(parent_id) REFERENCES directory.organizations (id)
);

CREATE TABLE directory.sign_in_throttle (
	key BYTEA NOT NULL, 
	failures BIGINT DEFAULT 0 NOT NULL, 
	window_started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	blocked_until TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_sign_in_throttle PRIMARY KEY (key)
);

CREATE TABLE attend.sync_clocks (
	rev BIGINT DEFAULT 0 NOT NULL, 
	generation INTEGER DEFAULT 1 NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_sync_clocks PRIMARY KEY (organization_id), 
	CONSTRAINT ck_sync_clocks_generation CHECK (generation BETWEEN 1 AND 131071), 
	CONSTRAINT fk_sync_clocks_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE attend.revisions (
	rev BIGINT NOT NULL, 
	made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	actor_id UUID, 
	device_id UUID, 
	reason TEXT, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_revisions PRIMARY KEY (organization_id, rev), 
	CONSTRAINT fk_revisions_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE attend.tombstones (
	table_name TEXT NOT NULL, 
	id TEXT NOT NULL, 
	class_id UUID, 
	rev BIGINT NOT NULL, 
	merged_into TEXT, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_tombstones PRIMARY KEY (organization_id, table_name, id), 
	CONSTRAINT fk_tombstones_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE attend.directory_changes (
	table_name TEXT NOT NULL, 
	id UUID NOT NULL, 
	class_id UUID, 
	rev BIGINT NOT NULL, 
	deleted BOOLEAN DEFAULT false NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_directory_changes PRIMARY KEY (organization_id, table_name, id), 
	CONSTRAINT fk_directory_changes_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE attend.visibility (
	user_id UUID NOT NULL, 
	class_id UUID NOT NULL, 
	granted BOOLEAN NOT NULL, 
	rev BIGINT NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_visibility PRIMARY KEY (user_id, class_id), 
	CONSTRAINT fk_visibility_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE attend.terms (
	number INTEGER GENERATED ALWAYS AS IDENTITY, 
	name TEXT NOT NULL, 
	starts_on DATE NOT NULL, 
	ends_on DATE NOT NULL, 
	archived_at TIMESTAMP WITH TIME ZONE, 
	archive_path TEXT, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_terms PRIMARY KEY (id), 
	CONSTRAINT uq_terms_number UNIQUE (number), 
	CONSTRAINT uq_terms_organization_id_number UNIQUE (organization_id, number), 
	CONSTRAINT uq_terms_organization_id_name UNIQUE (organization_id, name), 
	CONSTRAINT ck_terms_ends_after_start CHECK (ends_on >= starts_on), 
	CONSTRAINT ck_terms_name_length CHECK (length(btrim(name)) BETWEEN 1 AND 80), 
	CONSTRAINT fk_terms_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE attend.record_history (
	session_no BIGINT NOT NULL, 
	place SMALLINT NOT NULL, 
	rev BIGINT NOT NULL, 
	until_rev BIGINT NOT NULL, 
	id TEXT NOT NULL, 
	status SMALLINT NOT NULL, 
	minutes SMALLINT, 
	marked_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	notes TEXT, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_record_history PRIMARY KEY (session_no, place, until_rev, rev), 
	CONSTRAINT fk_record_history_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE attend.risk_rules (
	below SMALLINT DEFAULT 75 NOT NULL, 
	at_least SMALLINT DEFAULT 5 NOT NULL, 
	excused_counts BOOLEAN DEFAULT true NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_risk_rules PRIMARY KEY (organization_id), 
	CONSTRAINT ck_risk_rules_below CHECK (below BETWEEN 0 AND 100), 
	CONSTRAINT ck_risk_rules_at_least CHECK (at_least BETWEEN 1 AND 1000), 
	CONSTRAINT fk_risk_rules_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE directory.organization_settings (
	setting_key TEXT NOT NULL, 
	setting_value TEXT NOT NULL, 
	setting_type directory.setting_type NOT NULL, 
	description TEXT DEFAULT '' NOT NULL, 
	is_editable BOOLEAN DEFAULT true NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_organization_settings PRIMARY KEY (id), 
	CONSTRAINT uq_organization_settings_organization_id_setting_key UNIQUE (organization_id, setting_key), 
	CONSTRAINT ck_organization_settings_key_form CHECK (setting_key ~ '^[a-z][a-z0-9_.]{0,63}$'), 
	CONSTRAINT fk_organization_settings_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE directory.users (
	role directory.person_role NOT NULL, 
	email TEXT, 
	name TEXT NOT NULL, 
	given_name TEXT, 
	family_name TEXT, 
	picture TEXT, 
	google_id TEXT, 
	password_hash TEXT, 
	status directory.user_status DEFAULT 'active' NOT NULL, 
	locale TEXT, 
	timezone TEXT, 
	last_login TIMESTAMP WITH TIME ZONE, 
	login_count BIGINT DEFAULT 0 NOT NULL, 
	deleted_at TIMESTAMP WITH TIME ZONE, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_users PRIMARY KEY (id), 
	CONSTRAINT uq_users_organization_id_id UNIQUE (organization_id, id), 
	CONSTRAINT ck_users_staff_email CHECK (email IS NOT NULL OR role = 'student' OR deleted_at IS NOT NULL), 
	CONSTRAINT ck_users_name_length CHECK (length(btrim(name)) BETWEEN 1 AND 200), 
	CONSTRAINT fk_users_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE compliance.audit_log (
	sequence BIGINT NOT NULL, 
	actor_id UUID, 
	actor_type TEXT NOT NULL, 
	event_type TEXT NOT NULL, 
	event_category TEXT NOT NULL, 
	event_timestamp TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	resource_type TEXT NOT NULL, 
	resource_id UUID, 
	session_id UUID, 
	description TEXT NOT NULL, 
	ip_address TEXT, 
	user_agent TEXT, 
	compliance_basis TEXT NOT NULL, 
	data_accessed JSONB, 
	affected_student_ids UUID[] NOT NULL, 
	previous_hash BYTEA NOT NULL, 
	row_hash BYTEA NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_audit_log PRIMARY KEY (id), 
	CONSTRAINT uq_audit_log_organization_id_sequence UNIQUE (organization_id, sequence), 
	CONSTRAINT fk_audit_log_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE compliance.audit_heads (
	organization_id UUID NOT NULL, 
	sequence BIGINT NOT NULL, 
	row_hash BYTEA NOT NULL, 
	CONSTRAINT pk_audit_heads PRIMARY KEY (organization_id), 
	CONSTRAINT fk_audit_heads_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE ops.event_topics (
	topic TEXT NOT NULL, 
	last_sequence BIGINT NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_event_topics PRIMARY KEY (topic), 
	CONSTRAINT fk_event_topics_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE ops.events (
	topic TEXT NOT NULL, 
	sequence BIGINT NOT NULL, 
	type TEXT NOT NULL, 
	audience TEXT[] NOT NULL, 
	payload JSONB NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_events PRIMARY KEY (topic, sequence), 
	CONSTRAINT fk_events_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE compliance.coppa_compliance (
	student_id UUID NOT NULL, 
	birth_year BIGINT, 
	is_under_13 BOOLEAN NOT NULL, 
	age_verification_method TEXT, 
	age_verified_at TIMESTAMP WITH TIME ZONE, 
	data_collection_limited BOOLEAN NOT NULL, 
	no_behavioral_targeting BOOLEAN DEFAULT true NOT NULL, 
	no_third_party_sharing BOOLEAN DEFAULT true NOT NULL, 
	auto_delete_enabled BOOLEAN DEFAULT true NOT NULL, 
	delete_after_days BIGINT DEFAULT 365 NOT NULL, 
	deletion_requested_at TIMESTAMP WITH TIME ZONE, 
	deletion_completed_at TIMESTAMP WITH TIME ZONE, 
	parent_access_enabled BOOLEAN DEFAULT true NOT NULL, 
	parent_last_reviewed TIMESTAMP WITH TIME ZONE, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_coppa_compliance PRIMARY KEY (id), 
	CONSTRAINT uq_coppa_compliance_student_id UNIQUE (student_id), 
	CONSTRAINT ck_coppa_compliance_never_targeted CHECK (no_behavioral_targeting), 
	CONSTRAINT ck_coppa_compliance_delete_after_days_positive CHECK (delete_after_days > 0), 
	CONSTRAINT fk_coppa_compliance_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE compliance.retention_policies (
	policy_type compliance.policy_type NOT NULL, 
	retention_days BIGINT NOT NULL, 
	delete_after_days BIGINT NOT NULL, 
	archive_after_days BIGINT, 
	legal_basis TEXT NOT NULL, 
	auto_delete_enabled BOOLEAN DEFAULT true NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_retention_policies PRIMARY KEY (id), 
	CONSTRAINT uq_retention_policies_organization_id_policy_type UNIQUE (organization_id, policy_type), 
	CONSTRAINT ck_retention_policies_retention_days CHECK (retention_days >= 0), 
	CONSTRAINT ck_retention_policies_delete_after_retention CHECK (delete_after_days >= retention_days), 
	CONSTRAINT ck_retention_policies_archive_before_deletion CHECK (archive_after_days IS NULL OR archive_after_days BETWEEN 0 AND delete_after_days), 
	CONSTRAINT ck_retention_policies_audit_is_kept CHECK (policy_type <> 'audit' OR NOT auto_delete_enabled), 
	CONSTRAINT ck_retention_policies_legal_basis CHECK (legal_basis <> ''), 
	CONSTRAINT fk_retention_policies_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE compliance.retention_runs (
	counts JSONB DEFAULT '{}' NOT NULL, 
	files BIGINT DEFAULT 0 NOT NULL, 
	completed_at TIMESTAMP WITH TIME ZONE, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_retention_runs PRIMARY KEY (id), 
	CONSTRAINT fk_retention_runs_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.guidance_rules (
	version BIGINT NOT NULL, 
	rules_toml TEXT NOT NULL, 
	created_by UUID, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_guidance_rules PRIMARY KEY (id), 
	CONSTRAINT uq_guidance_rules_organization_id_version UNIQUE (organization_id, version), 
	CONSTRAINT fk_guidance_rules_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.teacher_prompt_effectiveness (
	prompt_category TEXT NOT NULL, 
	subject_area TEXT NOT NULL, 
	session_phase TEXT NOT NULL, 
	priority_level TEXT NOT NULL, 
	total_generated BIGINT NOT NULL, 
	total_acknowledged BIGINT NOT NULL, 
	total_used BIGINT NOT NULL, 
	total_dismissed BIGINT NOT NULL, 
	acknowledgment_rate NUMERIC(7, 4), 
	usage_rate NUMERIC(7, 4), 
	dismissal_rate NUMERIC(7, 4), 
	avg_effectiveness_score NUMERIC(12, 4), 
	avg_feedback_rating NUMERIC(4, 2), 
	avg_response_time_seconds NUMERIC(10, 2), 
	avg_learning_impact NUMERIC(12, 4), 
	std_dev_effectiveness NUMERIC(12, 4), 
	confidence_interval_lower NUMERIC(12, 4), 
	confidence_interval_upper NUMERIC(12, 4), 
	data_points BIGINT NOT NULL, 
	calculation_period_start TIMESTAMP WITH TIME ZONE NOT NULL, 
	calculation_period_end TIMESTAMP WITH TIME ZONE NOT NULL, 
	last_calculated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_teacher_prompt_effectiveness PRIMARY KEY (id), 
	CONSTRAINT uq_teacher_prompt_effectiveness_kind UNIQUE (organization_id, prompt_category, subject_area, session_phase, priority_level, calculation_period_start), 
	CONSTRAINT fk_teacher_prompt_effectiveness_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE attend.corrections (
	user_id UUID NOT NULL, 
	table_name TEXT NOT NULL, 
	id TEXT NOT NULL, 
	rev BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_corrections PRIMARY KEY (user_id, table_name, id), 
	CONSTRAINT fk_corrections_user_id FOREIGN KEY(user_id) REFERENCES directory.users (id) ON DELETE CASCADE, 
	CONSTRAINT fk_corrections_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE attend.devices (
	user_id UUID NOT NULL, 
	name TEXT NOT NULL, 
	platform TEXT, 
	token_hash BYTEA NOT NULL, 
	revoked_at TIMESTAMP WITH TIME ZONE, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_devices PRIMARY KEY (id), 
	CONSTRAINT uq_devices_token_hash UNIQUE (token_hash), 
	CONSTRAINT fk_devices_organization_id_user_id FOREIGN KEY(organization_id, user_id) REFERENCES directory.users (organization_id, id) ON DELETE CASCADE, 
	CONSTRAINT ck_devices_name_length CHECK (length(btrim(name)) BETWEEN 1 AND 80), 
	CONSTRAINT fk_devices_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE directory.classes (
	teacher_id UUID NOT NULL, 
	name TEXT NOT NULL, 
	subject TEXT, 
	grade_level TEXT, 
	code TEXT, 
	academic_term TEXT, 
	year SMALLINT, 
	language TEXT DEFAULT 'en' NOT NULL, 
	invite_code TEXT NOT NULL, 
	archived_at TIMESTAMP WITH TIME ZONE, 
	deleted_at TIMESTAMP WITH TIME ZONE, 
	created_by UUID, 
	updated_by UUID, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_classes PRIMARY KEY (id), 
	CONSTRAINT uq_classes_organization_id_id UNIQUE (organization_id, id), 
	CONSTRAINT uq_classes_invite_code UNIQUE (invite_code), 
	CONSTRAINT fk_classes_organization_id_teacher_id FOREIGN KEY(organization_id, teacher_id) REFERENCES directory.users (organization_id, id), 
	CONSTRAINT ck_classes_name_length CHECK (length(btrim(name)) BETWEEN 1 AND 120), 
	CONSTRAINT ck_classes_invite_code_form CHECK (invite_code ~ '^[2-9A-HJKMNP-TV-Z]{6}$'), 
	CONSTRAINT fk_classes_created_by FOREIGN KEY(created_by) REFERENCES directory.users (id) ON DELETE SET NULL, 
	CONSTRAINT fk_classes_updated_by FOREIGN KEY(updated_by) REFERENCES directory.users (id) ON DELETE SET NULL, 
	CONSTRAINT fk_classes_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE directory.teachers (
	user_id UUID NOT NULL, 
	access_level TEXT DEFAULT 'full' NOT NULL, 
	max_concurrent_sessions BIGINT DEFAULT 5 NOT NULL, 
	current_sessions BIGINT DEFAULT 0 NOT NULL, 
	grade TEXT, 
	subject TEXT, 
	features_enabled JSONB DEFAULT '{}'::jsonb NOT NULL, 
	total_sessions_created BIGINT DEFAULT 0 NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_teachers PRIMARY KEY (user_id), 
	CONSTRAINT fk_teachers_organization_id_user_id FOREIGN KEY(organization_id, user_id) REFERENCES directory.users (organization_id, id) ON DELETE CASCADE, 
	CONSTRAINT ck_teachers_current_sessions_not_negative CHECK (current_sessions >= 0), 
	CONSTRAINT ck_teachers_max_sessions_positive CHECK (max_concurrent_sessions > 0), 
	CONSTRAINT fk_teachers_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE directory.students (
	user_id UUID, 
	display_name TEXT NOT NULL, 
	given_name TEXT, 
	family_name TEXT, 
	preferred_name TEXT, 
	email TEXT, 
	google_id TEXT, 
	status directory.student_status DEFAULT 'active' NOT NULL, 
	student_number TEXT, 
	enrollment_year SMALLINT, 
	grade_level TEXT, 
	birth_year SMALLINT, 
	is_under_13 BOOLEAN DEFAULT true NOT NULL, 
	teacher_verified_age BOOLEAN DEFAULT false NOT NULL, 
	has_parental_consent BOOLEAN DEFAULT false NOT NULL, 
	consent_date TIMESTAMP WITH TIME ZONE, 
	parent_email TEXT, 
	data_sharing_consent BOOLEAN DEFAULT false NOT NULL, 
	audio_recording_consent BOOLEAN DEFAULT false NOT NULL, 
	email_consent BOOLEAN DEFAULT false NOT NULL, 
	coppa_compliant BOOLEAN DEFAULT false NOT NULL, 
	deleted_at TIMESTAMP WITH TIME ZONE, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_students PRIMARY KEY (id), 
	CONSTRAINT uq_students_organization_id_id UNIQUE (organization_id, id), 
	CONSTRAINT fk_students_organization_id_user_id FOREIGN KEY(organization_id, user_id) REFERENCES directory.users (organization_id, id), 
	CONSTRAINT ck_students_under_13_without_consent CHECK (NOT is_under_13 OR has_parental_consent OR (email IS NULL AND family_name IS NULL AND google_id IS NULL AND parent_email IS NULL)), 
	CONSTRAINT ck_students_display_name CHECK (length(btrim(display_name)) BETWEEN 1 AND 120), 
	CONSTRAINT ck_students_birth_year CHECK (birth_year BETWEEN 1900 AND 2200), 
	CONSTRAINT fk_students_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE directory.sign_in_sessions (
	user_id UUID NOT NULL, 
	token_hash BYTEA NOT NULL, 
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	last_seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	revoked_at TIMESTAMP WITH TIME ZONE, 
	ip_address TEXT, 
	user_agent TEXT, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_sign_in_sessions PRIMARY KEY (id), 
	CONSTRAINT uq_sign_in_sessions_token_hash UNIQUE (token_hash), 
	CONSTRAINT fk_sign_in_sessions_organization_id_user_id FOREIGN KEY(organization_id, user_id) REFERENCES directory.users (organization_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_sign_in_sessions_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE directory.password_resets (
	user_id UUID NOT NULL, 
	token_hash BYTEA NOT NULL, 
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	used_at TIMESTAMP WITH TIME ZONE, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_password_resets PRIMARY KEY (id), 
	CONSTRAINT uq_password_resets_token_hash UNIQUE (token_hash), 
	CONSTRAINT fk_password_resets_organization_id_user_id FOREIGN KEY(organization_id, user_id) REFERENCES directory.users (organization_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_password_resets_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE compliance.data_requests (
	request_type compliance.request_kind NOT NULL, 
	subject_type compliance.subject_kind NOT NULL, 
	subject_id UUID NOT NULL, 
	status compliance.request_status NOT NULL, 
	requested_by UUID, 
	completed_at TIMESTAMP WITH TIME ZONE, 
	counts JSONB DEFAULT '{}' NOT NULL, 
	receipt JSONB, 
	receipt_hash TEXT, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_data_requests PRIMARY KEY (id), 
	CONSTRAINT ck_data_requests_completed_has_receipt CHECK ((status = 'completed') = (completed_at IS NOT NULL AND receipt_hash IS NOT NULL)), 
	CONSTRAINT fk_data_requests_requested_by FOREIGN KEY(requested_by) REFERENCES directory.users (id) ON DELETE SET NULL, 
	CONSTRAINT fk_data_requests_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE attend.sync_metadata (
	device_id UUID NOT NULL, 
	last_pulled_at TIMESTAMP WITH TIME ZONE, 
	last_pushed_at TIMESTAMP WITH TIME ZONE, 
	cursor BIGINT, 
	pulls BIGINT DEFAULT 0 NOT NULL, 
	pushes BIGINT DEFAULT 0 NOT NULL, 
	mismatches BIGINT DEFAULT 0 NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_sync_metadata PRIMARY KEY (device_id), 
	CONSTRAINT fk_sync_metadata_device_id FOREIGN KEY(device_id) REFERENCES attend.devices (id) ON DELETE CASCADE, 
	CONSTRAINT fk_sync_metadata_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
)
 WITH (fillfactor = 50);

CREATE TABLE attend.sync_log (
	device_id UUID NOT NULL, 
	kind TEXT NOT NULL, 
	from_rev BIGINT, 
	to_rev BIGINT, 
	details JSONB DEFAULT '{}'::jsonb NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_sync_log PRIMARY KEY (id), 
	CONSTRAINT fk_sync_log_device_id FOREIGN KEY(device_id) REFERENCES attend.devices (id) ON DELETE CASCADE, 
	CONSTRAINT fk_sync_log_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE attend.meetings (
	class_id UUID NOT NULL, 
	date DATE NOT NULL, 
	start_time TIME WITHOUT TIME ZONE NOT NULL, 
	end_time TIME WITHOUT TIME ZONE, 
	room TEXT, 
	title TEXT, 
	uid TEXT, 
	rev BIGINT DEFAULT 0 NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_meetings PRIMARY KEY (id), 
	CONSTRAINT fk_meetings_organization_id_class_id FOREIGN KEY(organization_id, class_id) REFERENCES directory.classes (organization_id, id) ON DELETE CASCADE, 
	CONSTRAINT uq_meetings_class_id_date_start_time UNIQUE (class_id, date, start_time), 
	CONSTRAINT ck_meetings_ends_after_start CHECK (end_time IS NULL OR end_time > start_time), 
	CONSTRAINT fk_meetings_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE attend.places (
	class_id UUID NOT NULL, 
	number SMALLINT NOT NULL, 
	student_id UUID NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_places PRIMARY KEY (class_id, number), 
	CONSTRAINT uq_places_class_id_student_id UNIQUE (class_id, student_id), 
	CONSTRAINT fk_places_organization_id_class_id FOREIGN KEY(organization_id, class_id) REFERENCES directory.classes (organization_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_places_organization_id_student_id FOREIGN KEY(organization_id, student_id) REFERENCES directory.students (organization_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_places_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE attend.tallies (
	class_id UUID NOT NULL, 
	counts INTEGER[] NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_tallies PRIMARY KEY (class_id), 
	CONSTRAINT fk_tallies_organization_id_class_id FOREIGN KEY(organization_id, class_id) REFERENCES directory.classes (organization_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_tallies_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
)
 WITH (fillfactor = 50);

CREATE TABLE attend.attendance_sessions (
	no BIGINT GENERATED BY DEFAULT AS IDENTITY, 
	id TEXT NOT NULL, 
	class_id UUID NOT NULL, 
	term INTEGER NOT NULL, 
	date DATE NOT NULL, 
	start_time TEXT, 
	end_time TEXT, 
	note TEXT, 
	marked_by UUID, 
	marked_at TIMESTAMP WITH TIME ZONE, 
	total_enrolled INTEGER DEFAULT 0 NOT NULL, 
	total_present INTEGER DEFAULT 0 NOT NULL, 
	total_late INTEGER DEFAULT 0 NOT NULL, 
	total_excused INTEGER DEFAULT 0 NOT NULL, 
	total_left_early INTEGER DEFAULT 0 NOT NULL, 
	total_absent INTEGER DEFAULT 0 NOT NULL, 
	digest BIGINT DEFAULT 0 NOT NULL, 
	rev BIGINT DEFAULT 0 NOT NULL, 
	records_rev BIGINT DEFAULT 0 NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	created_by UUID, 
	updated_by UUID, 
	deleted_at TIMESTAMP WITH TIME ZONE, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_attendance_sessions PRIMARY KEY (no), 
	CONSTRAINT uq_attendance_sessions_organization_id_id UNIQUE (organization_id, id), 
	CONSTRAINT fk_attendance_sessions_organization_id_class_id FOREIGN KEY(organization_id, class_id) REFERENCES directory.classes (organization_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_attendance_sessions_organization_id_term FOREIGN KEY(organization_id, term) REFERENCES attend.terms (organization_id, number), 
	CONSTRAINT ck_attendance_sessions_id_form CHECK (id ~ '^[A-Za-z0-9._-]{1,64}$'), 
	CONSTRAINT ck_attendance_sessions_note_length CHECK (length(note) <= 2000), 
	CONSTRAINT fk_attendance_sessions_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
)
 WITH (fillfactor = 80);

CREATE TABLE directory.class_teachers (
	class_id UUID NOT NULL, 
	user_id UUID NOT NULL, 
	role directory.class_role NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_class_teachers PRIMARY KEY (class_id, user_id), 
	CONSTRAINT fk_class_teachers_organization_id_class_id FOREIGN KEY(organization_id, class_id) REFERENCES directory.classes (organization_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_class_teachers_organization_id_user_id FOREIGN KEY(organization_id, user_id) REFERENCES directory.users (organization_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_class_teachers_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE directory.enrollments (
	class_id UUID NOT NULL, 
	student_id UUID NOT NULL, 
	starts_on DATE DEFAULT CURRENT_DATE NOT NULL, 
	ends_on DATE, 
	status directory.enrollment_status DEFAULT 'active' NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_enrollments PRIMARY KEY (id), 
	CONSTRAINT fk_enrollments_organization_id_class_id FOREIGN KEY(organization_id, class_id) REFERENCES directory.classes (organization_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_enrollments_organization_id_student_id FOREIGN KEY(organization_id, student_id) REFERENCES directory.students (organization_id, id) ON DELETE CASCADE, 
	CONSTRAINT ck_enrollments_ends_after_start CHECK (ends_on >= starts_on), 
	CONSTRAINT ck_enrollments_open_is_active CHECK ((status = 'active') = (ends_on IS NULL)), 
	CONSTRAINT fk_enrollments_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE compliance.parental_consents (
	student_id UUID NOT NULL, 
	consent_type compliance.consent_kind NOT NULL, 
	state compliance.consent_state NOT NULL, 
	consent_given BOOLEAN NOT NULL, 
	consent_date TIMESTAMP WITH TIME ZONE NOT NULL, 
	parent_name TEXT, 
	parent_email TEXT, 
	relationship TEXT, 
	verification_method compliance.consent_method, 
	verification_token TEXT, 
	verified_at TIMESTAMP WITH TIME ZONE, 
	ip_address TEXT, 
	user_agent TEXT, 
	consent_text_version TEXT NOT NULL, 
	expires_at TIMESTAMP WITH TIME ZONE, 
	revoked_at TIMESTAMP WITH TIME ZONE, 
	superseded_at TIMESTAMP WITH TIME ZONE, 
	note TEXT DEFAULT '' NOT NULL, 
	recorded_by UUID, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_parental_consents PRIMARY KEY (id), 
	CONSTRAINT ck_parental_consents_given_is_state CHECK (consent_given = (state = 'given')), 
	CONSTRAINT ck_parental_consents_revoked_when_withdrawn CHECK ((revoked_at IS NOT NULL) = (state = 'withdrawn')), 
	CONSTRAINT ck_parental_consents_expires_after_consent CHECK (expires_at IS NULL OR expires_at > consent_date), 
	CONSTRAINT fk_parental_consents_student_id FOREIGN KEY(student_id) REFERENCES directory.students (id) ON DELETE CASCADE, 
	CONSTRAINT fk_parental_consents_recorded_by FOREIGN KEY(recorded_by) REFERENCES directory.users (id) ON DELETE SET NULL, 
	CONSTRAINT fk_parental_consents_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.classroom_sessions (
	title TEXT NOT NULL, 
	description TEXT DEFAULT '' NOT NULL, 
	goal TEXT DEFAULT '' NOT NULL, 
	subject TEXT DEFAULT 'general' NOT NULL, 
	concepts JSONB DEFAULT '[]'::jsonb NOT NULL, 
	language TEXT DEFAULT 'en' NOT NULL, 
	status live.session_status NOT NULL, 
	teacher_id UUID NOT NULL, 
	class_id UUID, 
	access_code TEXT, 
	scheduled_start TIMESTAMP WITH TIME ZONE, 
	configured_at TIMESTAMP WITH TIME ZONE, 
	actual_start TIMESTAMP WITH TIME ZONE, 
	actual_end TIMESTAMP WITH TIME ZONE, 
	paused_at TIMESTAMP WITH TIME ZONE, 
	paused_seconds BIGINT DEFAULT '0' NOT NULL, 
	planned_duration_minutes BIGINT DEFAULT '45' NOT NULL, 
	actual_duration_minutes BIGINT, 
	end_reason TEXT, 
	max_students BIGINT DEFAULT '60' NOT NULL, 
	target_group_size BIGINT DEFAULT '4' NOT NULL, 
	auto_group_enabled BOOLEAN DEFAULT 'false' NOT NULL, 
	allow_display_names BOOLEAN DEFAULT 'false' NOT NULL, 
	recording_enabled BOOLEAN DEFAULT 'false' NOT NULL, 
	transcription_enabled BOOLEAN DEFAULT 'true' NOT NULL, 
	ai_analysis_enabled BOOLEAN DEFAULT 'true' NOT NULL, 
	recording_consent_obtained BOOLEAN DEFAULT 'false' NOT NULL, 
	ferpa_compliant BOOLEAN DEFAULT 'true' NOT NULL, 
	coppa_compliant BOOLEAN DEFAULT 'true' NOT NULL, 
	data_retention_date TIMESTAMP WITH TIME ZONE, 
	started_without_ready_groups BOOLEAN, 
	teacher_notes TEXT DEFAULT '' NOT NULL, 
	total_groups BIGINT DEFAULT '0' NOT NULL, 
	total_students BIGINT DEFAULT '0' NOT NULL, 
	engagement_score NUMERIC(5, 2), 
	participation_rate NUMERIC(5, 2), 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_classroom_sessions PRIMARY KEY (id), 
	CONSTRAINT ck_classroom_sessions_planned_duration CHECK (planned_duration_minutes BETWEEN 1 AND 480), 
	CONSTRAINT ck_classroom_sessions_target_group_size CHECK (target_group_size BETWEEN 1 AND 12), 
	CONSTRAINT ck_classroom_sessions_max_students CHECK (max_students BETWEEN 1 AND 500), 
	CONSTRAINT ck_classroom_sessions_ends_after_start CHECK (actual_end IS NULL OR actual_start IS NULL OR actual_end >= actual_start), 
	CONSTRAINT fk_classroom_sessions_teacher_id FOREIGN KEY(teacher_id) REFERENCES directory.users (id) ON DELETE RESTRICT, 
	CONSTRAINT fk_classroom_sessions_class_id FOREIGN KEY(class_id) REFERENCES directory.classes (id) ON DELETE SET NULL, 
	CONSTRAINT fk_classroom_sessions_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE attend.check_in_windows (
	class_id UUID NOT NULL, 
	session_no BIGINT NOT NULL, 
	secret BYTEA NOT NULL, 
	opens_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	closes_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	late_after TIMESTAMP WITH TIME ZONE, 
	opened_by UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_check_in_windows PRIMARY KEY (id), 
	CONSTRAINT fk_check_in_windows_organization_id_class_id FOREIGN KEY(organization_id, class_id) REFERENCES directory.classes (organization_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_check_in_windows_session_no FOREIGN KEY(session_no) REFERENCES attend.attendance_sessions (no) ON DELETE CASCADE, 
	CONSTRAINT ck_check_in_windows_closes_after_opening CHECK (closes_at > opens_at), 
	CONSTRAINT fk_check_in_windows_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE attend.check_ins (
	session_no BIGINT NOT NULL, 
	student_id UUID NOT NULL, 
	device_hash BYTEA NOT NULL, 
	challenged_at TIMESTAMP WITH TIME ZONE, 
	withdrawn_at TIMESTAMP WITH TIME ZONE, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_check_ins PRIMARY KEY (id), 
	CONSTRAINT uq_check_ins_session_no_student_id UNIQUE (session_no, student_id), 
	CONSTRAINT uq_check_ins_session_no_device_hash UNIQUE (session_no, device_hash), 
	CONSTRAINT fk_check_ins_organization_id_student_id FOREIGN KEY(organization_id, student_id) REFERENCES directory.students (organization_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_check_ins_session_no FOREIGN KEY(session_no) REFERENCES attend.attendance_sessions (no) ON DELETE CASCADE, 
	CONSTRAINT fk_check_ins_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.student_groups (
	session_id UUID NOT NULL, 
	name TEXT NOT NULL, 
	group_number BIGINT NOT NULL, 
	status live.group_status NOT NULL, 
	capture_mode live.capture_mode NOT NULL, 
	max_size BIGINT DEFAULT '8' NOT NULL, 
	current_size BIGINT DEFAULT '0' NOT NULL, 
	auto_managed BOOLEAN DEFAULT 'false' NOT NULL, 
	start_time TIMESTAMP WITH TIME ZONE, 
	end_time TIMESTAMP WITH TIME ZONE, 
	leader_id UUID, 
	is_ready BOOLEAN DEFAULT 'false' NOT NULL, 
	leader_ready_at TIMESTAMP WITH TIME ZONE, 
	total_speaking_time_seconds NUMERIC(12, 3) DEFAULT '0' NOT NULL, 
	collaboration_score NUMERIC(5, 2), 
	topic_focus_score NUMERIC(5, 2), 
	topical_cohesion NUMERIC(5, 2), 
	argumentation_quality NUMERIC(5, 2), 
	sentiment_arc JSONB, 
	conceptual_density NUMERIC(5, 2), 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_student_groups PRIMARY KEY (id), 
	CONSTRAINT uq_student_groups_session_id_group_number UNIQUE (session_id, group_number), 
	CONSTRAINT ck_student_groups_size CHECK (current_size >= 0 AND max_size BETWEEN 1 AND 30), 
	CONSTRAINT fk_student_groups_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_student_groups_leader_id FOREIGN KEY(leader_id) REFERENCES directory.students (id) ON DELETE SET NULL, 
	CONSTRAINT fk_student_groups_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.messages (
	session_id UUID NOT NULL, 
	sender_id UUID NOT NULL, 
	sender_type TEXT NOT NULL, 
	recipient_id UUID, 
	recipient_type TEXT NOT NULL, 
	message_type TEXT DEFAULT 'note' NOT NULL, 
	subject TEXT, 
	content TEXT NOT NULL, 
	metadata JSONB DEFAULT '{}'::jsonb NOT NULL, 
	is_read BOOLEAN DEFAULT 'false' NOT NULL, 
	is_archived BOOLEAN DEFAULT 'false' NOT NULL, 
	is_deleted BOOLEAN DEFAULT 'false' NOT NULL, 
	read_at TIMESTAMP WITH TIME ZONE, 
	deleted_at TIMESTAMP WITH TIME ZONE, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_messages PRIMARY KEY (id), 
	CONSTRAINT ck_messages_content CHECK (char_length(content) BETWEEN 1 AND 2000), 
	CONSTRAINT fk_messages_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_messages_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.session_events (
	session_id UUID NOT NULL, 
	teacher_id UUID NOT NULL, 
	event_type TEXT NOT NULL, 
	event_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	payload JSONB DEFAULT '{}'::jsonb NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_session_events PRIMARY KEY (id), 
	CONSTRAINT fk_session_events_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_session_events_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.analysis_results (
	session_id UUID NOT NULL, 
	analysis_type TEXT NOT NULL, 
	analysis_timestamp TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	processing_time_ms BIGINT NOT NULL, 
	result_data JSONB NOT NULL, 
	confidence_score NUMERIC(5, 4), 
	model_version TEXT NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_analysis_results PRIMARY KEY (id), 
	CONSTRAINT fk_analysis_results_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_analysis_results_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.tier2_analysis (
	session_id UUID NOT NULL, 
	insights JSONB NOT NULL, 
	analysis_timestamp TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_tier2_analysis PRIMARY KEY (id), 
	CONSTRAINT fk_tier2_analysis_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_tier2_analysis_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.session_metrics (
	session_id UUID NOT NULL, 
	calculation_timestamp TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	total_students BIGINT, 
	active_students BIGINT, 
	participation_rate NUMERIC(5, 2), 
	average_speaking_time_seconds NUMERIC(10, 2), 
	speaking_time_std_dev NUMERIC(10, 2), 
	overall_engagement_score NUMERIC(5, 2), 
	interaction_score NUMERIC(5, 2), 
	collaboration_score NUMERIC(5, 2), 
	on_topic_percentage NUMERIC(5, 2), 
	academic_vocabulary_usage NUMERIC(5, 2), 
	question_asking_rate NUMERIC(5, 2), 
	group_formation_time_seconds BIGINT, 
	average_group_size NUMERIC(5, 2), 
	group_stability_score NUMERIC(5, 2), 
	average_connection_quality NUMERIC(5, 2), 
	technical_issues_count BIGINT, 
	planned_groups BIGINT, 
	planned_group_size BIGINT, 
	planned_duration_minutes BIGINT, 
	planned_members BIGINT, 
	planned_leaders BIGINT, 
	planned_scheduled_start TIMESTAMP WITH TIME ZONE, 
	configured_at TIMESTAMP WITH TIME ZONE, 
	started_at TIMESTAMP WITH TIME ZONE, 
	started_without_ready_groups BOOLEAN, 
	ready_groups_at_start BIGINT, 
	ready_groups_at_5m BIGINT, 
	ready_groups_at_10m BIGINT, 
	adherence_members_ratio NUMERIC(6, 4), 
	measures JSONB, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_session_metrics PRIMARY KEY (id), 
	CONSTRAINT uq_session_metrics_session_id UNIQUE (session_id), 
	CONSTRAINT fk_session_metrics_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_session_metrics_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.session_summaries (
	session_id UUID NOT NULL, 
	summary_json JSONB NOT NULL, 
	written_by TEXT NOT NULL, 
	analysis_timestamp TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_session_summaries PRIMARY KEY (id), 
	CONSTRAINT uq_session_summaries_session_id UNIQUE (session_id), 
	CONSTRAINT fk_session_summaries_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_session_summaries_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.educational_insights (
	session_id UUID NOT NULL, 
	insight_type TEXT NOT NULL, 
	title TEXT NOT NULL, 
	description TEXT NOT NULL, 
	recommendations JSONB NOT NULL, 
	impact_score NUMERIC(5, 2), 
	confidence_level NUMERIC(5, 2), 
	applies_to_type TEXT NOT NULL, 
	applies_to_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_educational_insights PRIMARY KEY (id), 
	CONSTRAINT fk_educational_insights_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_educational_insights_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.session_guidance_analytics (
	session_id UUID NOT NULL, 
	teacher_id UUID NOT NULL, 
	session_date DATE NOT NULL, 
	subject_area TEXT NOT NULL, 
	session_duration_minutes BIGINT, 
	total_groups BIGINT NOT NULL, 
	total_students BIGINT NOT NULL, 
	total_prompts_generated BIGINT NOT NULL, 
	total_prompts_acknowledged BIGINT NOT NULL, 
	total_prompts_used BIGINT NOT NULL, 
	total_prompts_dismissed BIGINT NOT NULL, 
	total_prompts_expired BIGINT NOT NULL, 
	acknowledgment_rate NUMERIC(7, 4), 
	usage_rate NUMERIC(7, 4), 
	effectiveness_rate NUMERIC(7, 4), 
	avg_feedback_rating NUMERIC(4, 2), 
	avg_effectiveness_score NUMERIC(12, 4), 
	avg_response_time_seconds NUMERIC(10, 2), 
	session_improvement_score NUMERIC(12, 4), 
	student_engagement_improvement NUMERIC(12, 4), 
	discussion_quality_improvement NUMERIC(12, 4), 
	learning_objective_completion_rate NUMERIC(7, 4), 
	category_breakdown JSONB NOT NULL, 
	priority_breakdown JSONB NOT NULL, 
	phase_breakdown JSONB NOT NULL, 
	teacher_satisfaction_rating BIGINT, 
	teacher_feedback_text TEXT, 
	would_recommend_system BOOLEAN, 
	ai_analysis_latency_ms NUMERIC(12, 2), 
	prompt_generation_latency_ms NUMERIC(12, 2), 
	system_uptime_percentage NUMERIC(5, 2), 
	error_count BIGINT NOT NULL, 
	compliance_violations BIGINT NOT NULL, 
	data_retention_compliance BOOLEAN NOT NULL, 
	privacy_safeguards_applied BOOLEAN NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_session_guidance_analytics PRIMARY KEY (id), 
	CONSTRAINT uq_session_guidance_analytics_session_id UNIQUE (session_id), 
	CONSTRAINT fk_session_guidance_analytics_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_session_guidance_analytics_teacher_id FOREIGN KEY(teacher_id) REFERENCES directory.users (id) ON DELETE CASCADE, 
	CONSTRAINT fk_session_guidance_analytics_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.student_group_members (
	session_id UUID NOT NULL, 
	group_id UUID NOT NULL, 
	student_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_student_group_members PRIMARY KEY (id), 
	CONSTRAINT uq_student_group_members_session_id_student_id UNIQUE (session_id, student_id), 
	CONSTRAINT fk_student_group_members_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_student_group_members_group_id FOREIGN KEY(group_id) REFERENCES live.student_groups (id) ON DELETE CASCADE, 
	CONSTRAINT fk_student_group_members_student_id FOREIGN KEY(student_id) REFERENCES directory.students (id) ON DELETE CASCADE, 
	CONSTRAINT fk_student_group_members_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.participants (
	session_id UUID NOT NULL, 
	group_id UUID, 
	student_id UUID, 
	anonymous_id TEXT, 
	display_name TEXT NOT NULL, 
	is_shared BOOLEAN DEFAULT 'false' NOT NULL, 
	token_hash BYTEA NOT NULL, 
	join_time TIMESTAMP WITH TIME ZONE NOT NULL, 
	leave_time TIMESTAMP WITH TIME ZONE, 
	last_seen_at TIMESTAMP WITH TIME ZONE, 
	is_active BOOLEAN DEFAULT 'true' NOT NULL, 
	device_type TEXT, 
	browser_info TEXT, 
	connection_quality TEXT, 
	can_speak BOOLEAN DEFAULT 'false' NOT NULL, 
	can_hear BOOLEAN DEFAULT 'true' NOT NULL, 
	is_muted BOOLEAN DEFAULT 'false' NOT NULL, 
	microphone_checked_at TIMESTAMP WITH TIME ZONE, 
	hand_raised_at TIMESTAMP WITH TIME ZONE, 
	total_speaking_time_seconds NUMERIC(12, 3) DEFAULT '0' NOT NULL, 
	message_count BIGINT DEFAULT '0' NOT NULL, 
	interaction_count BIGINT DEFAULT '0' NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_participants PRIMARY KEY (id), 
	CONSTRAINT ck_participants_shared_is_nobody CHECK (NOT is_shared OR student_id IS NULL), 
	CONSTRAINT fk_participants_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_participants_group_id FOREIGN KEY(group_id) REFERENCES live.student_groups (id) ON DELETE SET NULL, 
	CONSTRAINT fk_participants_student_id FOREIGN KEY(student_id) REFERENCES directory.students (id) ON DELETE CASCADE, 
	CONSTRAINT uq_participants_token_hash UNIQUE (token_hash), 
	CONSTRAINT fk_participants_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.tier1_analysis (
	session_id UUID NOT NULL, 
	group_id UUID NOT NULL, 
	window_start NUMERIC(10, 3) NOT NULL, 
	window_end NUMERIC(10, 3) NOT NULL, 
	phase TEXT NOT NULL, 
	insights JSONB NOT NULL, 
	analysis_timestamp TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_tier1_analysis PRIMARY KEY (id), 
	CONSTRAINT uq_tier1_analysis_group_id_window_end UNIQUE (group_id, window_end), 
	CONSTRAINT fk_tier1_analysis_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_tier1_analysis_group_id FOREIGN KEY(group_id) REFERENCES live.student_groups (id) ON DELETE CASCADE, 
	CONSTRAINT fk_tier1_analysis_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.group_metrics (
	group_id UUID NOT NULL, 
	session_id UUID NOT NULL, 
	calculation_timestamp TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	participation_equality_index NUMERIC(5, 4), 
	dominant_speaker_percentage NUMERIC(5, 2), 
	silent_members_count BIGINT, 
	turn_taking_score NUMERIC(5, 2), 
	interruption_rate NUMERIC(5, 2), 
	supportive_interactions_count BIGINT, 
	topic_coherence_score NUMERIC(5, 2), 
	vocabulary_diversity_score NUMERIC(5, 2), 
	academic_discourse_score NUMERIC(5, 2), 
	average_sentiment_score NUMERIC(5, 2), 
	emotional_support_instances BIGINT, 
	conflict_instances BIGINT, 
	configured_name TEXT NOT NULL, 
	configured_size BIGINT NOT NULL, 
	leader_assigned BOOLEAN NOT NULL, 
	leader_ready_at TIMESTAMP WITH TIME ZONE, 
	members_configured BIGINT NOT NULL, 
	members_present BIGINT NOT NULL, 
	measures JSONB NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_group_metrics PRIMARY KEY (id), 
	CONSTRAINT uq_group_metrics_group_id UNIQUE (group_id), 
	CONSTRAINT fk_group_metrics_group_id FOREIGN KEY(group_id) REFERENCES live.student_groups (id) ON DELETE CASCADE, 
	CONSTRAINT fk_group_metrics_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_group_metrics_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.group_summaries (
	session_id UUID NOT NULL, 
	group_id UUID NOT NULL, 
	summary_json JSONB NOT NULL, 
	written_by TEXT NOT NULL, 
	analysis_timestamp TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_group_summaries PRIMARY KEY (id), 
	CONSTRAINT fk_group_summaries_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_group_summaries_group_id FOREIGN KEY(group_id) REFERENCES live.student_groups (id) ON DELETE CASCADE, 
	CONSTRAINT fk_group_summaries_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.teacher_guidance_metrics (
	session_id UUID NOT NULL, 
	teacher_id UUID NOT NULL, 
	group_id UUID, 
	prompt_id TEXT NOT NULL, 
	status live.prompt_status NOT NULL, 
	prompt_category live.prompt_category NOT NULL, 
	priority_level live.priority NOT NULL, 
	prompt_message TEXT NOT NULL, 
	prompt_context TEXT NOT NULL, 
	suggested_timing live.timing NOT NULL, 
	session_phase live.phase NOT NULL, 
	subject_area TEXT NOT NULL, 
	target_metric TEXT NOT NULL, 
	metric_before NUMERIC(12, 4), 
	metric_after NUMERIC(12, 4), 
	evidence JSONB DEFAULT '[]'::jsonb NOT NULL, 
	learning_objectives JSONB DEFAULT '[]'::jsonb NOT NULL, 
	generated_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	acknowledged_at TIMESTAMP WITH TIME ZONE, 
	used_at TIMESTAMP WITH TIME ZONE, 
	dismissed_at TIMESTAMP WITH TIME ZONE, 
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	feedback_rating BIGINT, 
	feedback_text TEXT, 
	effectiveness_score NUMERIC(12, 4), 
	learning_outcome_improvement NUMERIC(12, 4), 
	response_time_seconds BIGINT, 
	educational_purpose TEXT NOT NULL, 
	compliance_basis TEXT NOT NULL, 
	data_retention_date DATE, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_teacher_guidance_metrics PRIMARY KEY (id), 
	CONSTRAINT ck_teacher_guidance_metrics_feedback_rating CHECK (feedback_rating BETWEEN 1 AND 5), 
	CONSTRAINT fk_teacher_guidance_metrics_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_teacher_guidance_metrics_teacher_id FOREIGN KEY(teacher_id) REFERENCES directory.users (id) ON DELETE CASCADE, 
	CONSTRAINT fk_teacher_guidance_metrics_group_id FOREIGN KEY(group_id) REFERENCES live.student_groups (id) ON DELETE CASCADE, 
	CONSTRAINT fk_teacher_guidance_metrics_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.student_metrics (
	participant_id UUID NOT NULL, 
	session_id UUID NOT NULL, 
	calculation_timestamp TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	total_speaking_time_seconds BIGINT NOT NULL, 
	speaking_turns_count BIGINT NOT NULL, 
	average_turn_duration_seconds NUMERIC(10, 2), 
	participation_score NUMERIC(5, 2), 
	initiative_score NUMERIC(5, 2), 
	responsiveness_score NUMERIC(5, 2), 
	vocabulary_complexity_score NUMERIC(5, 2), 
	fluency_score NUMERIC(5, 2), 
	peer_interaction_count BIGINT NOT NULL, 
	supportive_comments_count BIGINT NOT NULL, 
	questions_asked_count BIGINT NOT NULL, 
	heard_share NUMERIC(6, 4), 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_student_metrics PRIMARY KEY (id), 
	CONSTRAINT uq_student_metrics_participant_id UNIQUE (participant_id), 
	CONSTRAINT fk_student_metrics_participant_id FOREIGN KEY(participant_id) REFERENCES live.participants (id) ON DELETE CASCADE, 
	CONSTRAINT fk_student_metrics_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_student_metrics_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.guidance_events (
	session_id UUID NOT NULL, 
	group_id UUID, 
	teacher_id UUID NOT NULL, 
	prompt_row_id UUID, 
	event_type TEXT NOT NULL, 
	payload JSONB NOT NULL, 
	event_timestamp TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_guidance_events PRIMARY KEY (id), 
	CONSTRAINT fk_guidance_events_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_guidance_events_group_id FOREIGN KEY(group_id) REFERENCES live.student_groups (id) ON DELETE CASCADE, 
	CONSTRAINT fk_guidance_events_teacher_id FOREIGN KEY(teacher_id) REFERENCES directory.users (id) ON DELETE CASCADE, 
	CONSTRAINT fk_guidance_events_prompt_row_id FOREIGN KEY(prompt_row_id) REFERENCES live.teacher_guidance_metrics (id) ON DELETE CASCADE, 
	CONSTRAINT fk_guidance_events_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.intervention_suggestions (
	session_id UUID NOT NULL, 
	group_id UUID, 
	teacher_id UUID NOT NULL, 
	prompt_row_id UUID, 
	intervention_type TEXT NOT NULL, 
	urgency TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	suggested_action TEXT NOT NULL, 
	target_type TEXT NOT NULL, 
	target_student_id UUID, 
	status TEXT NOT NULL, 
	acted_upon BOOLEAN NOT NULL, 
	acted_at TIMESTAMP WITH TIME ZONE, 
	was_effective BOOLEAN, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_intervention_suggestions PRIMARY KEY (id), 
	CONSTRAINT fk_intervention_suggestions_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_intervention_suggestions_group_id FOREIGN KEY(group_id) REFERENCES live.student_groups (id) ON DELETE CASCADE, 
	CONSTRAINT fk_intervention_suggestions_teacher_id FOREIGN KEY(teacher_id) REFERENCES directory.users (id) ON DELETE CASCADE, 
	CONSTRAINT uq_intervention_suggestions_prompt_row_id UNIQUE (prompt_row_id), 
	CONSTRAINT fk_intervention_suggestions_prompt_row_id FOREIGN KEY(prompt_row_id) REFERENCES live.teacher_guidance_metrics (id) ON DELETE CASCADE, 
	CONSTRAINT fk_intervention_suggestions_target_student_id FOREIGN KEY(target_student_id) REFERENCES directory.students (id) ON DELETE SET NULL, 
	CONSTRAINT fk_intervention_suggestions_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.tracks (
	session_id UUID NOT NULL, 
	group_id UUID, 
	participant_id UUID NOT NULL, 
	codec live.codec NOT NULL, 
	sample_rate INTEGER NOT NULL, 
	started_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	last_chunk_at TIMESTAMP WITH TIME ZONE, 
	next_seq BIGINT DEFAULT '0' NOT NULL, 
	end_ms BIGINT DEFAULT '0' NOT NULL, 
	closed_at TIMESTAMP WITH TIME ZONE, 
	finished_at TIMESTAMP WITH TIME ZONE, 
	connected_seconds NUMERIC(12, 3) DEFAULT '0' NOT NULL, 
	heard_seconds NUMERIC(12, 3) DEFAULT '0' NOT NULL, 
	muted_seconds NUMERIC(12, 3) DEFAULT '0' NOT NULL, 
	clipping_seconds NUMERIC(12, 3) DEFAULT '0' NOT NULL, 
	gap_seconds NUMERIC(12, 3) DEFAULT '0' NOT NULL, 
	peak_dbfs NUMERIC(5, 1), 
	rms_dbfs NUMERIC(5, 1), 
	leased_by TEXT, 
	leased_until TIMESTAMP WITH TIME ZONE, 
	cursor_seq BIGINT DEFAULT '0' NOT NULL, 
	cursor JSONB, 
	language_code TEXT, 
	cuts BIGINT DEFAULT '0' NOT NULL, 
	failures BIGINT DEFAULT '0' NOT NULL, 
	last_error TEXT, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_tracks PRIMARY KEY (id), 
	CONSTRAINT fk_tracks_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_tracks_group_id FOREIGN KEY(group_id) REFERENCES live.student_groups (id) ON DELETE SET NULL, 
	CONSTRAINT fk_tracks_participant_id FOREIGN KEY(participant_id) REFERENCES live.participants (id) ON DELETE CASCADE, 
	CONSTRAINT fk_tracks_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.audio_chunks (
	track_id UUID NOT NULL, 
	seq BIGINT NOT NULL, 
	start_ms BIGINT NOT NULL, 
	duration_ms INTEGER NOT NULL, 
	is_silent BOOLEAN NOT NULL, 
	is_muted BOOLEAN NOT NULL, 
	peak_dbfs SMALLINT NOT NULL, 
	rms_dbfs SMALLINT NOT NULL, 
	payload BYTEA, 
	received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_audio_chunks PRIMARY KEY (track_id, seq), 
	CONSTRAINT ck_audio_chunks_payload_size CHECK (octet_length(payload) <= 65536), 
	CONSTRAINT fk_audio_chunks_track_id FOREIGN KEY(track_id) REFERENCES live.tracks (id) ON DELETE CASCADE, 
	CONSTRAINT fk_audio_chunks_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.transcriptions (
	session_id UUID NOT NULL, 
	group_id UUID, 
	track_id UUID NOT NULL, 
	cut BIGINT NOT NULL, 
	speaker_id UUID, 
	speaker_type TEXT NOT NULL, 
	speaker_name TEXT NOT NULL, 
	content TEXT NOT NULL, 
	words JSONB DEFAULT '[]'::jsonb NOT NULL, 
	language_code TEXT NOT NULL, 
	start_time TIMESTAMP WITH TIME ZONE NOT NULL, 
	end_time TIMESTAMP WITH TIME ZONE NOT NULL, 
	start_seconds NUMERIC(10, 3) NOT NULL, 
	end_seconds NUMERIC(10, 3) NOT NULL, 
	duration_seconds NUMERIC(10, 3) NOT NULL, 
	confidence_score NUMERIC(5, 4) NOT NULL, 
	is_final BOOLEAN DEFAULT 'true' NOT NULL, 
	key_phrases JSONB DEFAULT '[]'::jsonb NOT NULL, 
	academic_vocabulary_detected BOOLEAN DEFAULT 'false' NOT NULL, 
	model_version TEXT DEFAULT '' NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_transcriptions PRIMARY KEY (id), 
	CONSTRAINT uq_transcriptions_track_id_cut UNIQUE (track_id, cut), 
	CONSTRAINT ck_transcriptions_ends_after_start CHECK (end_time >= start_time), 
	CONSTRAINT fk_transcriptions_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_transcriptions_group_id FOREIGN KEY(group_id) REFERENCES live.student_groups (id) ON DELETE SET NULL, 
	CONSTRAINT fk_transcriptions_track_id FOREIGN KEY(track_id) REFERENCES live.tracks (id) ON DELETE CASCADE, 
	CONSTRAINT fk_transcriptions_speaker_id FOREIGN KEY(speaker_id) REFERENCES live.participants (id) ON DELETE CASCADE, 
	CONSTRAINT fk_transcriptions_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE TABLE live.recordings (
	session_id UUID NOT NULL, 
	group_id UUID, 
	participant_id UUID NOT NULL, 
	track_id UUID NOT NULL, 
	file_path TEXT NOT NULL, 
	file_size_bytes BIGINT NOT NULL, 
	duration_seconds BIGINT NOT NULL, 
	starts_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	format TEXT NOT NULL, 
	sample_rate BIGINT NOT NULL, 
	channels BIGINT NOT NULL, 
	codec TEXT NOT NULL, 
	is_processed BOOLEAN DEFAULT 'true' NOT NULL, 
	transcription_status TEXT DEFAULT 'done' NOT NULL, 
	processing_attempts BIGINT DEFAULT '1' NOT NULL, 
	last_error TEXT, 
	processed_at TIMESTAMP WITH TIME ZONE, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	organization_id UUID NOT NULL, 
	CONSTRAINT pk_recordings PRIMARY KEY (id), 
	CONSTRAINT fk_recordings_session_id FOREIGN KEY(session_id) REFERENCES live.classroom_sessions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_recordings_group_id FOREIGN KEY(group_id) REFERENCES live.student_groups (id) ON DELETE SET NULL, 
	CONSTRAINT fk_recordings_participant_id FOREIGN KEY(participant_id) REFERENCES live.participants (id) ON DELETE CASCADE, 
	CONSTRAINT uq_recordings_track_id UNIQUE (track_id), 
	CONSTRAINT fk_recordings_track_id FOREIGN KEY(track_id) REFERENCES live.tracks (id) ON DELETE CASCADE, 
	CONSTRAINT fk_recordings_organization_id FOREIGN KEY(organization_id) REFERENCES directory.organizations (id) ON DELETE CASCADE
);

CREATE INDEX ix_analysis_results_session_id ON live.analysis_results (session_id);

CREATE INDEX ix_attendance_sessions_class_records_rev ON attend.attendance_sessions (class_id, records_rev);

CREATE INDEX ix_attendance_sessions_class_rev ON attend.attendance_sessions (class_id, rev);

CREATE INDEX ix_attendance_sessions_organization_date ON attend.attendance_sessions (organization_id, date);

CREATE INDEX ix_audit_log_affected_student_ids ON compliance.audit_log USING gin (affected_student_ids);

CREATE INDEX ix_audit_log_resource ON compliance.audit_log (organization_id, resource_type, resource_id);

CREATE INDEX ix_check_in_windows_class_id ON attend.check_in_windows (class_id);

CREATE INDEX ix_check_in_windows_session_no ON attend.check_in_windows (session_no);

CREATE INDEX ix_check_ins_student_id ON attend.check_ins (student_id);

CREATE INDEX ix_class_teachers_user_id ON directory.class_teachers (user_id);

CREATE INDEX ix_classes_teacher_id ON directory.classes (teacher_id);

CREATE INDEX ix_classroom_sessions_class_id ON live.classroom_sessions (class_id);

CREATE INDEX ix_classroom_sessions_teacher ON live.classroom_sessions (teacher_id, created_at);

CREATE INDEX ix_classroom_sessions_teacher_id ON live.classroom_sessions (teacher_id);

CREATE INDEX ix_corrections_user_rev ON attend.corrections (user_id, rev);

CREATE INDEX ix_data_requests_organization_id ON compliance.data_requests (organization_id, created_at);

CREATE INDEX ix_data_requests_subject_id ON compliance.data_requests (subject_id);

CREATE INDEX ix_devices_user_id ON attend.devices (user_id);

CREATE INDEX ix_directory_changes_rev ON attend.directory_changes (organization_id, rev);

CREATE INDEX ix_educational_insights_session_id ON live.educational_insights (session_id);

CREATE INDEX ix_enrollments_class_id ON directory.enrollments (class_id);

CREATE INDEX ix_enrollments_organization_id ON directory.enrollments (organization_id);

CREATE INDEX ix_enrollments_student_id ON directory.enrollments (student_id);

CREATE INDEX ix_events_created_at ON ops.events (created_at);

CREATE INDEX ix_group_metrics_session_id ON live.group_metrics (session_id);

CREATE INDEX ix_group_summaries_session_id ON live.group_summaries (session_id);

CREATE INDEX ix_guidance_events_prompt_row_id ON live.guidance_events (prompt_row_id);

CREATE INDEX ix_guidance_events_session_id ON live.guidance_events (session_id);

CREATE INDEX ix_intervention_suggestions_session_id ON live.intervention_suggestions (session_id);

CREATE INDEX ix_meetings_class_rev ON attend.meetings (class_id, rev);

CREATE INDEX ix_messages_session_id ON live.messages (session_id);

CREATE INDEX ix_organizations_parent_id ON directory.organizations (parent_id);

CREATE INDEX ix_parental_consents_expires_at ON compliance.parental_consents (organization_id, expires_at) WHERE superseded_at IS NULL AND state = 'given';

CREATE INDEX ix_parental_consents_student_id ON compliance.parental_consents (student_id, created_at);

CREATE INDEX ix_participants_group_id ON live.participants (group_id);

CREATE INDEX ix_participants_session_id ON live.participants (session_id);

CREATE INDEX ix_participants_student_id ON live.participants (student_id);

CREATE INDEX ix_password_resets_user_id ON directory.password_resets (user_id);

CREATE INDEX ix_places_organization_id ON attend.places (organization_id);

CREATE INDEX ix_places_student_id ON attend.places (student_id);

CREATE INDEX ix_record_history_organization_id ON attend.record_history (organization_id);

CREATE INDEX ix_recordings_participant_id ON live.recordings (participant_id);

CREATE INDEX ix_recordings_session_id ON live.recordings (session_id);

CREATE INDEX ix_retention_runs_organization_id ON compliance.retention_runs (organization_id, created_at);

CREATE INDEX ix_session_events_session ON live.session_events (session_id, event_time);

CREATE INDEX ix_sign_in_sessions_user_id ON directory.sign_in_sessions (user_id);

CREATE INDEX ix_student_group_members_group_id ON live.student_group_members (group_id);

CREATE INDEX ix_student_group_members_student_id ON live.student_group_members (student_id);

CREATE INDEX ix_student_groups_session_id ON live.student_groups (session_id);

CREATE INDEX ix_student_metrics_session_id ON live.student_metrics (session_id);

CREATE INDEX ix_sync_log_device_id ON attend.sync_log (device_id);

CREATE INDEX ix_sync_log_organization_id ON attend.sync_log (organization_id);

CREATE INDEX ix_sync_metadata_organization_id ON attend.sync_metadata (organization_id);

CREATE INDEX ix_tallies_organization_id ON attend.tallies (organization_id);

CREATE INDEX ix_teacher_guidance_metrics_session_id ON live.teacher_guidance_metrics (session_id);

CREATE INDEX ix_teacher_guidance_metrics_teacher ON live.teacher_guidance_metrics (teacher_id, generated_at);

CREATE INDEX ix_teachers_organization_id ON directory.teachers (organization_id);

CREATE INDEX ix_tier1_analysis_group_id ON live.tier1_analysis (group_id);

CREATE INDEX ix_tier1_analysis_session_id ON live.tier1_analysis (session_id);

CREATE INDEX ix_tier2_analysis_session_id ON live.tier2_analysis (session_id);

CREATE INDEX ix_tombstones_class_rev ON attend.tombstones (class_id, rev);

CREATE INDEX ix_tracks_group_id ON live.tracks (group_id);

CREATE INDEX ix_tracks_participant_id ON live.tracks (participant_id);

CREATE INDEX ix_tracks_session_id ON live.tracks (session_id);

CREATE INDEX ix_tracks_unfinished ON live.tracks (leased_until) WHERE finished_at IS NULL;

CREATE INDEX ix_transcriptions_group_time ON live.transcriptions (group_id, start_time);

CREATE INDEX ix_transcriptions_session_time ON live.transcriptions (session_id, start_time);

CREATE INDEX ix_transcriptions_speaker_id ON live.transcriptions (speaker_id);

CREATE INDEX ix_visibility_organization_id ON attend.visibility (organization_id);

CREATE UNIQUE INDEX uq_attendance_records_id ON attend.attendance_records (term, id);

CREATE UNIQUE INDEX uq_attendance_sessions_meeting ON attend.attendance_sessions (class_id, date, coalesce(start_time, '00:00')) WHERE deleted_at IS NULL;

CREATE UNIQUE INDEX uq_class_teachers_owner ON directory.class_teachers (class_id) WHERE role = 'owner';

CREATE UNIQUE INDEX uq_classroom_sessions_access_code ON live.classroom_sessions (access_code) WHERE status IN ('scheduled', 'open', 'live', 'paused');

CREATE UNIQUE INDEX uq_data_requests_erased ON compliance.data_requests (subject_id) WHERE request_type = 'erase';

CREATE UNIQUE INDEX uq_enrollments_open ON directory.enrollments (class_id, student_id) WHERE ends_on IS NULL;

CREATE UNIQUE INDEX uq_group_summaries_group ON live.group_summaries (group_id);

CREATE UNIQUE INDEX uq_parental_consents_standing ON compliance.parental_consents (student_id, consent_type) WHERE superseded_at IS NULL;

CREATE UNIQUE INDEX uq_participants_shared ON live.participants (group_id) WHERE is_shared AND is_active;

CREATE UNIQUE INDEX uq_participants_student ON live.participants (session_id, student_id) WHERE student_id IS NOT NULL AND is_active;

CREATE UNIQUE INDEX uq_students_student_number ON directory.students (organization_id, student_number) WHERE deleted_at IS NULL;

CREATE UNIQUE INDEX uq_students_user_id ON directory.students (user_id) WHERE user_id IS NOT NULL;

CREATE UNIQUE INDEX uq_teacher_guidance_metrics_standing ON live.teacher_guidance_metrics (group_id) WHERE status IN ('generated', 'acknowledged');

CREATE UNIQUE INDEX uq_users_email_lower ON directory.users (lower(email)) WHERE deleted_at IS NULL;

CREATE UNIQUE INDEX uq_users_google_id ON directory.users (google_id) WHERE deleted_at IS NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.attendance_records TO classweave_app;

GRANT SELECT, INSERT, UPDATE, DELETE ON directory.organizations TO classweave_app;

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON directory.organizations FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON directory.sign_in_throttle TO classweave_app;

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.directory_changes TO classweave_app;

ALTER TABLE attend.directory_changes ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.directory_changes FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.directory_changes USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.record_history TO classweave_app;

ALTER TABLE attend.record_history ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.record_history FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.record_history USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.revisions TO classweave_app;

ALTER TABLE attend.revisions ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.revisions FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.revisions USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.risk_rules TO classweave_app;

ALTER TABLE attend.risk_rules ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.risk_rules FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.risk_rules USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON attend.risk_rules FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.sync_clocks TO classweave_app;

ALTER TABLE attend.sync_clocks ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.sync_clocks FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.sync_clocks USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.terms TO classweave_app;

ALTER TABLE attend.terms ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.terms FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.terms USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON attend.terms FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.tombstones TO classweave_app;

ALTER TABLE attend.tombstones ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.tombstones FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.tombstones USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.visibility TO classweave_app;

ALTER TABLE attend.visibility ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.visibility FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.visibility USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON compliance.audit_heads TO classweave_app;

ALTER TABLE compliance.audit_heads ENABLE ROW LEVEL SECURITY;

ALTER TABLE compliance.audit_heads FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON compliance.audit_heads USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON compliance.audit_log TO classweave_app;

ALTER TABLE compliance.audit_log ENABLE ROW LEVEL SECURITY;

ALTER TABLE compliance.audit_log FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON compliance.audit_log USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON compliance.coppa_compliance TO classweave_app;

ALTER TABLE compliance.coppa_compliance ENABLE ROW LEVEL SECURITY;

ALTER TABLE compliance.coppa_compliance FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON compliance.coppa_compliance USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON compliance.coppa_compliance FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON compliance.retention_policies TO classweave_app;

ALTER TABLE compliance.retention_policies ENABLE ROW LEVEL SECURITY;

ALTER TABLE compliance.retention_policies FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON compliance.retention_policies USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON compliance.retention_policies FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON compliance.retention_runs TO classweave_app;

ALTER TABLE compliance.retention_runs ENABLE ROW LEVEL SECURITY;

ALTER TABLE compliance.retention_runs FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON compliance.retention_runs USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON directory.organization_settings TO classweave_app;

ALTER TABLE directory.organization_settings ENABLE ROW LEVEL SECURITY;

ALTER TABLE directory.organization_settings FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON directory.organization_settings USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON directory.organization_settings FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON directory.users TO classweave_app;

ALTER TABLE directory.users ENABLE ROW LEVEL SECURITY;

ALTER TABLE directory.users FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON directory.users USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON directory.users FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON live.guidance_rules TO classweave_app;

ALTER TABLE live.guidance_rules ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.guidance_rules FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.guidance_rules USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON live.guidance_rules FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON live.teacher_prompt_effectiveness TO classweave_app;

ALTER TABLE live.teacher_prompt_effectiveness ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.teacher_prompt_effectiveness FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.teacher_prompt_effectiveness USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON live.teacher_prompt_effectiveness FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON ops.event_topics TO classweave_app;

ALTER TABLE ops.event_topics ENABLE ROW LEVEL SECURITY;

ALTER TABLE ops.event_topics FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON ops.event_topics USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON ops.events TO classweave_app;

ALTER TABLE ops.events ENABLE ROW LEVEL SECURITY;

ALTER TABLE ops.events FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON ops.events USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.corrections TO classweave_app;

ALTER TABLE attend.corrections ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.corrections FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.corrections USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.devices TO classweave_app;

ALTER TABLE attend.devices ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.devices FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.devices USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON compliance.data_requests TO classweave_app;

ALTER TABLE compliance.data_requests ENABLE ROW LEVEL SECURITY;

ALTER TABLE compliance.data_requests FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON compliance.data_requests USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON compliance.data_requests FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON directory.classes TO classweave_app;

ALTER TABLE directory.classes ENABLE ROW LEVEL SECURITY;

ALTER TABLE directory.classes FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON directory.classes USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON directory.classes FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON directory.password_resets TO classweave_app;

ALTER TABLE directory.password_resets ENABLE ROW LEVEL SECURITY;

ALTER TABLE directory.password_resets FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON directory.password_resets USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON directory.sign_in_sessions TO classweave_app;

ALTER TABLE directory.sign_in_sessions ENABLE ROW LEVEL SECURITY;

ALTER TABLE directory.sign_in_sessions FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON directory.sign_in_sessions USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON directory.students TO classweave_app;

ALTER TABLE directory.students ENABLE ROW LEVEL SECURITY;

ALTER TABLE directory.students FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON directory.students USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON directory.students FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON directory.teachers TO classweave_app;

ALTER TABLE directory.teachers ENABLE ROW LEVEL SECURITY;

ALTER TABLE directory.teachers FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON directory.teachers USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON directory.teachers FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.attendance_sessions TO classweave_app;

ALTER TABLE attend.attendance_sessions ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.attendance_sessions FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.attendance_sessions USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON attend.attendance_sessions FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.meetings TO classweave_app;

ALTER TABLE attend.meetings ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.meetings FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.meetings USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON attend.meetings FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.places TO classweave_app;

ALTER TABLE attend.places ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.places FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.places USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.sync_log TO classweave_app;

ALTER TABLE attend.sync_log ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.sync_log FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.sync_log USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.sync_metadata TO classweave_app;

ALTER TABLE attend.sync_metadata ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.sync_metadata FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.sync_metadata USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.tallies TO classweave_app;

ALTER TABLE attend.tallies ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.tallies FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.tallies USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON compliance.parental_consents TO classweave_app;

ALTER TABLE compliance.parental_consents ENABLE ROW LEVEL SECURITY;

ALTER TABLE compliance.parental_consents FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON compliance.parental_consents USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON compliance.parental_consents FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON directory.class_teachers TO classweave_app;

ALTER TABLE directory.class_teachers ENABLE ROW LEVEL SECURITY;

ALTER TABLE directory.class_teachers FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON directory.class_teachers USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON directory.enrollments TO classweave_app;

ALTER TABLE directory.enrollments ENABLE ROW LEVEL SECURITY;

ALTER TABLE directory.enrollments FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON directory.enrollments USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON directory.enrollments FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON live.classroom_sessions TO classweave_app;

ALTER TABLE live.classroom_sessions ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.classroom_sessions FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.classroom_sessions USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON live.classroom_sessions FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.check_in_windows TO classweave_app;

ALTER TABLE attend.check_in_windows ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.check_in_windows FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.check_in_windows USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON attend.check_ins TO classweave_app;

ALTER TABLE attend.check_ins ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.check_ins FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.check_ins USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.analysis_results TO classweave_app;

ALTER TABLE live.analysis_results ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.analysis_results FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.analysis_results USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.educational_insights TO classweave_app;

ALTER TABLE live.educational_insights ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.educational_insights FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.educational_insights USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.messages TO classweave_app;

ALTER TABLE live.messages ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.messages FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.messages USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.session_events TO classweave_app;

ALTER TABLE live.session_events ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.session_events FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.session_events USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.session_guidance_analytics TO classweave_app;

ALTER TABLE live.session_guidance_analytics ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.session_guidance_analytics FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.session_guidance_analytics USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON live.session_guidance_analytics FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON live.session_metrics TO classweave_app;

ALTER TABLE live.session_metrics ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.session_metrics FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.session_metrics USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.session_summaries TO classweave_app;

ALTER TABLE live.session_summaries ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.session_summaries FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.session_summaries USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.student_groups TO classweave_app;

ALTER TABLE live.student_groups ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.student_groups FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.student_groups USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON live.student_groups FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON live.tier2_analysis TO classweave_app;

ALTER TABLE live.tier2_analysis ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.tier2_analysis FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.tier2_analysis USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.group_metrics TO classweave_app;

ALTER TABLE live.group_metrics ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.group_metrics FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.group_metrics USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.group_summaries TO classweave_app;

ALTER TABLE live.group_summaries ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.group_summaries FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.group_summaries USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.participants TO classweave_app;

ALTER TABLE live.participants ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.participants FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.participants USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON live.participants FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON live.student_group_members TO classweave_app;

ALTER TABLE live.student_group_members ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.student_group_members FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.student_group_members USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.teacher_guidance_metrics TO classweave_app;

ALTER TABLE live.teacher_guidance_metrics ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.teacher_guidance_metrics FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.teacher_guidance_metrics USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON live.teacher_guidance_metrics FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON live.tier1_analysis TO classweave_app;

ALTER TABLE live.tier1_analysis ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.tier1_analysis FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.tier1_analysis USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.guidance_events TO classweave_app;

ALTER TABLE live.guidance_events ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.guidance_events FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.guidance_events USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.intervention_suggestions TO classweave_app;

ALTER TABLE live.intervention_suggestions ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.intervention_suggestions FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.intervention_suggestions USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.student_metrics TO classweave_app;

ALTER TABLE live.student_metrics ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.student_metrics FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.student_metrics USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.tracks TO classweave_app;

ALTER TABLE live.tracks ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.tracks FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.tracks USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON live.tracks FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON live.audio_chunks TO classweave_app;

ALTER TABLE live.audio_chunks ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.audio_chunks FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.audio_chunks USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.recordings TO classweave_app;

ALTER TABLE live.recordings ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.recordings FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.recordings USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

GRANT SELECT, INSERT, UPDATE, DELETE ON live.transcriptions TO classweave_app;

ALTER TABLE live.transcriptions ENABLE ROW LEVEL SECURITY;

ALTER TABLE live.transcriptions FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON live.transcriptions USING (organization_id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (organization_id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE FUNCTION compliance.audit_digest(line compliance.audit_log) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
  SELECT sha256(line.previous_hash || convert_to(jsonb_build_array(
    line.id, line.organization_id, line.sequence, line.actor_id, line.actor_type,
    line.event_type, line.event_category, extract(epoch FROM line.event_timestamp),
    line.resource_type, line.resource_id, line.session_id, line.description, line.ip_address,
    line.user_agent, line.compliance_basis, line.data_accessed,
    to_jsonb(line.affected_student_ids))::text, 'UTF8'))
$$;

CREATE FUNCTION compliance.chain_audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE head compliance.audit_heads;
BEGIN
  INSERT INTO compliance.audit_heads (organization_id, sequence, row_hash)
    VALUES (NEW.organization_id, 0, sha256(''::bytea))
    ON CONFLICT (organization_id) DO NOTHING;
  SELECT * INTO head FROM compliance.audit_heads
    WHERE organization_id = NEW.organization_id FOR UPDATE;
  NEW.sequence := head.sequence + 1;
  NEW.previous_hash := head.row_hash;
  NEW.row_hash := compliance.audit_digest(NEW);
  UPDATE compliance.audit_heads SET sequence = NEW.sequence, row_hash = NEW.row_hash
    WHERE organization_id = NEW.organization_id;
  RETURN NEW;
END $$;

CREATE TRIGGER chain BEFORE INSERT ON compliance.audit_log FOR EACH ROW EXECUTE FUNCTION compliance.chain_audit();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON compliance.audit_log FOR EACH ROW EXECUTE FUNCTION ops.refuse_change();

REVOKE UPDATE, DELETE, TRUNCATE ON compliance.audit_log FROM classweave_app;

ALTER TABLE directory.organizations ENABLE ROW LEVEL SECURITY;

ALTER TABLE directory.organizations FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON directory.organizations USING (id = ANY ((SELECT ops.current_organizations())::uuid[])) WITH CHECK (id = ANY ((SELECT ops.current_organizations())::uuid[]));

CREATE POLICY lookup ON directory.organizations FOR SELECT TO classweave_owner USING (true);

CREATE POLICY counting ON directory.organizations FOR UPDATE TO classweave_owner USING (true) WITH CHECK (true);

CREATE FUNCTION directory.place_organization() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE above directory.organization_kind;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    RAISE EXCEPTION 'the place of an organisation in the tree is fixed'
      USING ERRCODE = 'check_violation';
  END IF;
  SELECT kind INTO above FROM directory.organizations WHERE id = NEW.parent_id;
  IF NOT coalesce(CASE above
      WHEN 'district' THEN NEW.kind IN ('district', 'school', 'university')
      WHEN 'university' THEN NEW.kind = 'faculty'
      WHEN 'faculty' THEN NEW.kind = 'faculty'
      WHEN 'school' THEN false
    END, NEW.parent_id IS NULL AND NEW.kind <> 'faculty') THEN
    RAISE EXCEPTION 'a % cannot hold a %', above, NEW.kind USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER place BEFORE INSERT OR UPDATE OF parent_id, kind ON directory.organizations FOR EACH ROW EXECUTE FUNCTION directory.place_organization();

CREATE FUNCTION directory.add_counts(
  organization uuid, students bigint, teachers bigint, schools bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE path uuid[];
BEGIN
  WITH RECURSIVE upwards AS (
    SELECT id, parent_id, deleted_at FROM directory.organizations WHERE id = organization
    UNION ALL
    SELECT o.id, o.parent_id, o.deleted_at
      FROM directory.organizations o JOIN upwards ON o.id = upwards.parent_id
      WHERE upwards.deleted_at IS NULL
  ) SELECT array_agg(id) INTO path FROM upwards;
  -- Always in one order, so that two transactions never wait for each other in a circle.
  PERFORM 1 FROM directory.organizations WHERE id = ANY (path) ORDER BY id FOR NO KEY UPDATE;
  UPDATE directory.organizations
    SET student_count = student_count + students,
        teacher_count = teacher_count + teachers,
        current_teachers = current_teachers + teachers,
        school_count = school_count + schools
    WHERE id = ANY (path);
END $$;

REVOKE EXECUTE ON FUNCTION directory.add_counts FROM PUBLIC;

CREATE FUNCTION directory.count_students() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE change record;
BEGIN
  IF TG_OP = 'INSERT' THEN
    FOR change IN SELECT organization_id, count(*) AS n FROM new_rows
      WHERE deleted_at IS NULL AND status = 'active' GROUP BY 1 ORDER BY 1
    LOOP PERFORM directory.add_counts(change.organization_id, change.n, 0, 0); END LOOP;
  ELSIF TG_OP = 'DELETE' THEN
    FOR change IN SELECT organization_id, count(*) AS n FROM old_rows
      WHERE deleted_at IS NULL AND status = 'active' GROUP BY 1 ORDER BY 1
    LOOP PERFORM directory.add_counts(change.organization_id, -change.n, 0, 0); END LOOP;
  ELSE
    FOR change IN SELECT organization_id, sum(n) AS n FROM (
        SELECT organization_id, 1 AS n FROM new_rows
          WHERE deleted_at IS NULL AND status = 'active'
        UNION ALL SELECT organization_id, -1 FROM old_rows
          WHERE deleted_at IS NULL AND status = 'active') AS both_rows
      GROUP BY 1 HAVING sum(n) <> 0 ORDER BY 1
    LOOP PERFORM directory.add_counts(change.organization_id, change.n, 0, 0); END LOOP;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION directory.count_teachers() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE change record;
BEGIN
  IF TG_OP = 'INSERT' THEN
    FOR change IN SELECT organization_id, count(*) AS n FROM new_rows
      WHERE role = 'teacher' AND deleted_at IS NULL AND status <> 'inactive' GROUP BY 1 ORDER BY 1
    LOOP PERFORM directory.add_counts(change.organization_id, 0, change.n, 0); END LOOP;
  ELSIF TG_OP = 'DELETE' THEN
    FOR change IN SELECT organization_id, count(*) AS n FROM old_rows
      WHERE role = 'teacher' AND deleted_at IS NULL AND status <> 'inactive' GROUP BY 1 ORDER BY 1
    LOOP PERFORM directory.add_counts(change.organization_id, 0, -change.n, 0); END LOOP;
  ELSE
    FOR change IN SELECT organization_id, sum(n) AS n FROM (
        SELECT organization_id, 1 AS n FROM new_rows
          WHERE role = 'teacher' AND deleted_at IS NULL AND status <> 'inactive'
        UNION ALL SELECT organization_id, -1 FROM old_rows
          WHERE role = 'teacher' AND deleted_at IS NULL AND status <> 'inactive') AS both_rows
      GROUP BY 1 HAVING sum(n) <> 0 ORDER BY 1
    LOOP PERFORM directory.add_counts(change.organization_id, 0, change.n, 0); END LOOP;
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER count_insert AFTER INSERT ON directory.students REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION directory.count_students();

CREATE TRIGGER count_update AFTER UPDATE ON directory.students REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION directory.count_students();

CREATE TRIGGER count_delete AFTER DELETE ON directory.students REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION directory.count_students();

CREATE TRIGGER count_insert AFTER INSERT ON directory.users REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION directory.count_teachers();

CREATE TRIGGER count_update AFTER UPDATE ON directory.users REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION directory.count_teachers();

CREATE TRIGGER count_delete AFTER DELETE ON directory.users REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION directory.count_teachers();

CREATE FUNCTION directory.count_schools() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  one directory.organizations := coalesce(NEW, OLD);
  change integer := 0;
BEGIN
  -- What stands below a deleted organisation goes from the counts above it, and comes back.
  IF TG_OP <> 'INSERT' AND OLD.deleted_at IS NULL THEN change := change - 1; END IF;
  IF TG_OP <> 'DELETE' AND NEW.deleted_at IS NULL THEN change := change + 1; END IF;
  IF change <> 0 AND one.parent_id IS NOT NULL THEN
    PERFORM directory.add_counts(one.parent_id, change * one.student_count,
      change * one.teacher_count, change * (one.school_count + (one.kind = 'school')::int));
  END IF;
  RETURN one;
END $$;

CREATE TRIGGER count_schools AFTER INSERT OR UPDATE OF deleted_at ON directory.organizations FOR EACH ROW EXECUTE FUNCTION directory.count_schools();

CREATE TRIGGER uncount_schools BEFORE DELETE ON directory.organizations FOR EACH ROW EXECUTE FUNCTION directory.count_schools();

CREATE FUNCTION directory.under_13(birth_year integer, verified boolean, in_year integer)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN birth_year IS NULL THEN NOT verified
    WHEN in_year - birth_year < 13 THEN true
    WHEN in_year - birth_year = 13 THEN NOT verified
    ELSE false
  END
$$;

CREATE FUNCTION directory.guard_student() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  kept boolean := false;
BEGIN
  NEW.is_under_13 := directory.under_13(
    NEW.birth_year, NEW.teacher_verified_age, extract(year FROM now())::integer);
  IF TG_OP = 'INSERT' THEN
    kept := NOT (NEW.has_parental_consent OR NEW.data_sharing_consent
      OR NEW.audio_recording_consent OR NEW.email_consent OR NEW.coppa_compliant)
      AND NEW.consent_date IS NULL;
  ELSE
    kept := (NEW.has_parental_consent, NEW.consent_date, NEW.data_sharing_consent,
        NEW.audio_recording_consent, NEW.email_consent, NEW.coppa_compliant)
      IS NOT DISTINCT FROM
      (OLD.has_parental_consent, OLD.consent_date, OLD.data_sharing_consent,
        OLD.audio_recording_consent, OLD.email_consent, OLD.coppa_compliant);
  END IF;
  -- A trigger of the consents themselves comes from one level down.
  IF NOT kept AND pg_trigger_depth() = 1 AND current_user = 'classweave_app' THEN
    RAISE EXCEPTION 'consent changes only by recording a consent'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON directory.students FOR EACH ROW EXECUTE FUNCTION directory.guard_student();

CREATE FUNCTION directory.refresh_ages() RETURNS bigint LANGUAGE sql AS $$
  WITH changed AS (
    UPDATE directory.students SET birth_year = birth_year
      WHERE is_under_13 <> directory.under_13(
        birth_year, teacher_verified_age, extract(year FROM now())::integer)
      RETURNING 1)
  SELECT count(*) FROM changed
$$;

CREATE FUNCTION directory.guard_student_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM directory.students s
      WHERE s.user_id = NEW.id AND (NOT s.is_under_13 OR s.has_parental_consent)) THEN
    RAISE EXCEPTION 'this account is of a student under 13 without parental consent'
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER guard_student BEFORE INSERT OR UPDATE ON directory.users FOR EACH ROW WHEN (NEW.role = 'student' AND (NEW.email IS NOT NULL OR NEW.family_name IS NOT NULL OR NEW.google_id IS NOT NULL)) EXECUTE FUNCTION directory.guard_student_account();

CREATE FUNCTION directory.clear_student_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE directory.users SET email = NULL, family_name = NULL, google_id = NULL
    WHERE id = NEW.user_id
      AND (email IS NOT NULL OR family_name IS NOT NULL OR google_id IS NOT NULL);
  RETURN NULL;
END $$;

CREATE TRIGGER clear_account AFTER INSERT OR UPDATE ON directory.students FOR EACH ROW WHEN (NEW.user_id IS NOT NULL AND NEW.is_under_13 AND NOT NEW.has_parental_consent) EXECUTE FUNCTION directory.clear_student_account();

CREATE FUNCTION directory.keep_class_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    DELETE FROM directory.class_teachers WHERE class_id = NEW.id AND role = 'owner';
  END IF;
  INSERT INTO directory.class_teachers (organization_id, class_id, user_id, role)
    VALUES (NEW.organization_id, NEW.id, NEW.teacher_id, 'owner')
    ON CONFLICT (class_id, user_id) DO UPDATE SET role = 'owner';
  RETURN NULL;
END $$;

CREATE TRIGGER keep_owner AFTER INSERT OR UPDATE OF teacher_id ON directory.classes FOR EACH ROW EXECUTE FUNCTION directory.keep_class_owner();

CREATE POLICY lookup ON directory.users FOR SELECT TO classweave_owner USING (true);

CREATE POLICY lookup ON directory.students FOR SELECT TO classweave_owner USING (true);

CREATE POLICY lookup ON directory.classes FOR SELECT TO classweave_owner USING (true);

CREATE POLICY lookup ON directory.sign_in_sessions FOR SELECT TO classweave_owner USING (true);

CREATE POLICY lookup ON directory.password_resets FOR SELECT TO classweave_owner USING (true);

CREATE FUNCTION directory.identify(token bytea, at timestamptz DEFAULT now()) RETURNS TABLE (
  session_id uuid, last_seen_at timestamptz, user_id uuid, student_id uuid, role text, name text,
  locale text, timezone text, organization_id uuid, organization_name text, organizations uuid[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT s.id, s.last_seen_at, u.id, p.id, u.role::text, u.name,
    coalesce(u.locale, o.locale), coalesce(u.timezone, o.timezone), o.id, o.name,
    CASE WHEN u.role IN ('school_admin', 'district_admin', 'platform_admin') THEN (
      WITH RECURSIVE downwards AS (
        SELECT o.id
        UNION ALL
        SELECT c.id FROM directory.organizations c JOIN downwards ON c.parent_id = downwards.id
          WHERE c.deleted_at IS NULL
      ) SELECT array_agg(downwards.id) FROM downwards)
    ELSE ARRAY[o.id] END
  FROM directory.sign_in_sessions s
    JOIN directory.users u ON u.id = s.user_id
    JOIN directory.organizations o ON o.id = u.organization_id
    LEFT JOIN directory.students p ON p.user_id = u.id AND p.deleted_at IS NULL
  WHERE s.token_hash = token AND s.revoked_at IS NULL AND s.expires_at > at
    AND u.status = 'active' AND u.deleted_at IS NULL
    AND o.is_active AND o.deleted_at IS NULL
$$;

CREATE FUNCTION directory.find_credentials(address text) RETURNS TABLE (
  user_id uuid, organization_id uuid, role text, password_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT u.id, u.organization_id, u.role::text, u.password_hash
  FROM directory.users u JOIN directory.organizations o ON o.id = u.organization_id
  WHERE lower(u.email) = lower(address) AND u.deleted_at IS NULL AND u.status <> 'inactive'
    AND o.is_active AND o.deleted_at IS NULL
$$;

CREATE FUNCTION directory.find_class_by_invite(code text) RETURNS TABLE (
  class_id uuid, organization_id uuid, name text, language text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT c.id, c.organization_id, c.name, c.language FROM directory.classes c
  WHERE c.invite_code = upper(code) AND c.archived_at IS NULL AND c.deleted_at IS NULL
$$;

CREATE FUNCTION directory.all_organizations() RETURNS TABLE (id uuid, timezone text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT o.id, o.timezone FROM directory.organizations o WHERE o.deleted_at IS NULL
$$;

CREATE POLICY spending ON directory.password_resets FOR UPDATE TO classweave_owner USING (true) WITH CHECK (true);

CREATE FUNCTION directory.use_password_reset(token bytea, at timestamptz DEFAULT now())
RETURNS TABLE (user_id uuid, organization_id uuid, role text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  UPDATE directory.password_resets r SET used_at = at
  FROM directory.users u
  WHERE r.token_hash = token AND r.used_at IS NULL AND r.expires_at > at
    AND u.id = r.user_id AND u.deleted_at IS NULL AND u.status <> 'inactive'
  RETURNING u.id, u.organization_id, u.role::text
$$;

CREATE FUNCTION compliance.admit_consent() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE student directory.students;
BEGIN
  SELECT * INTO student FROM directory.students WHERE id = NEW.student_id FOR NO KEY UPDATE;
  IF student.id IS NULL OR student.organization_id <> NEW.organization_id THEN
    RAISE EXCEPTION 'the student belongs to another organisation'
      USING ERRCODE = 'foreign_key_violation';
  END IF;
  IF student.is_under_13 AND NEW.consent_given AND
     (NEW.verification_method IS NULL OR NEW.verified_at IS NULL
      OR NEW.verification_method = 'student_of_age'
      OR (NEW.verification_method = 'e_mail'
          AND NEW.consent_type IN ('data_sharing', 'disclosure', 'ai_training'))) THEN
    RAISE EXCEPTION 'not a verifiable parental consent' USING ERRCODE = 'check_violation';
  END IF;
  UPDATE compliance.parental_consents SET superseded_at = now()
    WHERE student_id = NEW.student_id AND consent_type = NEW.consent_type
      AND superseded_at IS NULL;
  NEW.superseded_at := NULL;
  RETURN NEW;
END $$;

CREATE TRIGGER admit BEFORE INSERT ON compliance.parental_consents FOR EACH ROW EXECUTE FUNCTION compliance.admit_consent();

CREATE FUNCTION compliance.keep_decision() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE allowed compliance.parental_consents := OLD;
BEGIN
  allowed.superseded_at := coalesce(OLD.superseded_at, NEW.superseded_at);
  allowed.updated_at := NEW.updated_at;
  IF NEW.recorded_by IS NULL THEN  -- the person who recorded it was erased
    allowed.recorded_by := NULL;
    allowed.ip_address := NEW.ip_address;
    allowed.user_agent := NEW.user_agent;
  END IF;
  IF NEW IS DISTINCT FROM allowed THEN
    RAISE EXCEPTION 'a recorded decision is not edited; record a new one'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER keep_decision BEFORE UPDATE ON compliance.parental_consents FOR EACH ROW EXECUTE FUNCTION compliance.keep_decision();

CREATE FUNCTION compliance.refresh_consent_cache() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE consents record; child boolean;
BEGIN
  SELECT
    coalesce(bool_or(consent_given) FILTER (WHERE consent_type = 'take_part'), false) AS take_part,
    coalesce(bool_or(consent_given) FILTER (WHERE consent_type = 'recording'), false) AS recording,
    coalesce(bool_or(consent_given) FILTER (WHERE consent_type = 'data_sharing'), false) AS sharing,
    coalesce(bool_or(consent_given) FILTER (WHERE consent_type = 'email'), false) AS email,
    coalesce(bool_or(consent_given) FILTER (WHERE consent_type = 'disclosure'), false)
      AS disclosure,
    min(consent_date) FILTER (WHERE consent_type = 'take_part' AND consent_given) AS given_on,
    max(parent_email) FILTER (WHERE consent_type = 'take_part' AND consent_given) AS parent_email
  INTO consents FROM compliance.parental_consents
  WHERE student_id = NEW.student_id AND superseded_at IS NULL;
  SELECT is_under_13 AND NOT consents.take_part INTO child
    FROM directory.students WHERE id = NEW.student_id;
  UPDATE directory.students SET
    has_parental_consent = consents.take_part,
    consent_date = consents.given_on,
    data_sharing_consent = consents.sharing,
    audio_recording_consent = consents.recording,
    email_consent = consents.email,
    parent_email = CASE WHEN child THEN NULL
                        ELSE coalesce(consents.parent_email, parent_email) END,
    email = CASE WHEN child THEN NULL ELSE email END,
    family_name = CASE WHEN child THEN NULL ELSE family_name END,
    google_id = CASE WHEN child THEN NULL ELSE google_id END
  WHERE id = NEW.student_id;
  UPDATE compliance.coppa_compliance SET no_third_party_sharing = NOT consents.disclosure
    WHERE student_id = NEW.student_id
      AND no_third_party_sharing IS DISTINCT FROM (NOT consents.disclosure);
  RETURN NULL;
END $$;

CREATE TRIGGER refresh_consent_cache AFTER INSERT ON compliance.parental_consents FOR EACH ROW EXECUTE FUNCTION compliance.refresh_consent_cache();

CREATE FUNCTION compliance.follow_student() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
BEGIN
  INSERT INTO compliance.coppa_compliance AS c
    (organization_id, student_id, birth_year, is_under_13, age_verification_method,
     age_verified_at, data_collection_limited)
  VALUES (NEW.organization_id, NEW.id, NEW.birth_year, NEW.is_under_13,
    CASE WHEN NEW.teacher_verified_age THEN 'teacher' END,
    CASE WHEN NEW.teacher_verified_age THEN now() END,
    NEW.is_under_13 AND NOT NEW.has_parental_consent)
  ON CONFLICT (student_id) DO UPDATE SET
    organization_id = EXCLUDED.organization_id,
    birth_year = EXCLUDED.birth_year,
    is_under_13 = EXCLUDED.is_under_13,
    age_verification_method = EXCLUDED.age_verification_method,
    age_verified_at = CASE WHEN EXCLUDED.age_verified_at IS NULL THEN NULL
                           ELSE coalesce(c.age_verified_at, EXCLUDED.age_verified_at) END,
    data_collection_limited = EXCLUDED.data_collection_limited;
  UPDATE directory.students SET coppa_compliant = NOT is_under_13 OR has_parental_consent
    WHERE id = NEW.id
      AND coppa_compliant IS DISTINCT FROM (NOT is_under_13 OR has_parental_consent);
  RETURN NULL;
END $$;

CREATE TRIGGER follow_student AFTER INSERT OR UPDATE OF organization_id, birth_year, is_under_13, teacher_verified_age, has_parental_consent ON directory.students FOR EACH ROW EXECUTE FUNCTION compliance.follow_student();

CREATE FUNCTION compliance.agree_with_student() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE student directory.students;
BEGIN
  SELECT * INTO student FROM directory.students WHERE id = NEW.student_id;
  IF student.id IS NOT NULL AND NEW.deletion_completed_at IS NULL
    AND (student.is_under_13, student.birth_year, student.organization_id)
      IS DISTINCT FROM (NEW.is_under_13, NEW.birth_year::smallint, NEW.organization_id) THEN
    RAISE EXCEPTION 'the age is kept in the directory; change it there'
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE CONSTRAINT TRIGGER agree_with_student AFTER INSERT OR UPDATE ON compliance.coppa_compliance DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION compliance.agree_with_student();

CREATE FUNCTION compliance.begin_retention() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  INSERT INTO compliance.retention_policies
    (organization_id, policy_type, retention_days, delete_after_days, legal_basis,
     auto_delete_enabled)
  SELECT NEW.id, d.kind, coalesce(d.days, NEW.data_retention_days),
    coalesce(d.days, NEW.data_retention_days), d.basis, d.auto
  FROM (VALUES
    ('sound'::compliance.policy_type, 30, 'consent to recording; needed to check a transcript', true),
    ('words'::compliance.policy_type, NULL, 'consent; needed for teaching in the school year', true),
    ('measures'::compliance.policy_type, NULL, 'consent to analysis; needed for teaching in the school year', true),
    ('prompts'::compliance.policy_type, NULL, 'legitimate educational interest; review of the advice given', true),
    ('messages'::compliance.policy_type, NULL, 'legitimate educational interest; record of what was said', true),
    ('events'::compliance.policy_type, 7, 'technical; lets a page that lost its connection catch up', true),
    ('sign_in_sessions'::compliance.policy_type, 30, 'security; lets a person see where they signed in', true),
    ('consent_history'::compliance.policy_type, 1095, 'legal duty to show past consent', true),
    ('audit'::compliance.policy_type, 2555, 'legal duty to account for access to student records', false)) AS d (kind, days, basis, auto);
  RETURN NULL;
END $$;

CREATE POLICY begin ON compliance.retention_policies FOR INSERT TO classweave_owner WITH CHECK (true);

CREATE TRIGGER begin_retention AFTER INSERT ON directory.organizations FOR EACH ROW EXECUTE FUNCTION compliance.begin_retention();

ALTER FUNCTION compliance.chain_audit() SECURITY DEFINER SET search_path = pg_catalog;

REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON compliance.audit_heads FROM classweave_app;

CREATE FUNCTION live.guard_classroom_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.status::text, NEW.status::text) NOT IN (('draft', 'archived'), ('draft', 'open'), ('draft', 'scheduled'), ('scheduled', 'archived'), ('scheduled', 'draft'), ('scheduled', 'open'), ('open', 'draft'), ('open', 'ended'), ('open', 'live'), ('live', 'ended'), ('live', 'paused'), ('paused', 'ended'), ('paused', 'live'), ('ended', 'archived'), ('archived', 'ended')) THEN
    RAISE EXCEPTION 'classroom_sessions: % cannot become %', OLD.status, NEW.status
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER guard_status BEFORE UPDATE OF status ON live.classroom_sessions
FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
EXECUTE FUNCTION live.guard_classroom_sessions();

CREATE FUNCTION live.guard_student_groups() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.status::text, NEW.status::text) NOT IN (('forming', 'active'), ('forming', 'ended'), ('forming', 'ready'), ('ready', 'active'), ('ready', 'ended'), ('ready', 'forming'), ('active', 'ended'), ('active', 'paused'), ('paused', 'active'), ('paused', 'ended')) THEN
    RAISE EXCEPTION 'student_groups: % cannot become %', OLD.status, NEW.status
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER guard_status BEFORE UPDATE OF status ON live.student_groups
FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
EXECUTE FUNCTION live.guard_student_groups();

CREATE FUNCTION live.guard_teacher_guidance_metrics() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.status::text, NEW.status::text) NOT IN (('generated', 'acknowledged'), ('generated', 'dismissed'), ('generated', 'expired'), ('generated', 'used'), ('acknowledged', 'dismissed'), ('acknowledged', 'expired'), ('acknowledged', 'used')) THEN
    RAISE EXCEPTION 'teacher_guidance_metrics: % cannot become %', OLD.status, NEW.status
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER guard_status BEFORE UPDATE OF status ON live.teacher_guidance_metrics
FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
EXECUTE FUNCTION live.guard_teacher_guidance_metrics();

CREATE FUNCTION live.count_groups() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE live.classroom_sessions s SET total_groups = (
      SELECT count(*) FROM live.student_groups g WHERE g.session_id = s.id)
    WHERE s.id = coalesce(NEW.session_id, OLD.session_id);
  RETURN NULL;
END $$;
CREATE TRIGGER count_groups AFTER INSERT OR DELETE ON live.student_groups
FOR EACH ROW EXECUTE FUNCTION live.count_groups();

CREATE FUNCTION live.count_participants() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE live.student_groups g SET current_size = (
      SELECT count(*) FROM live.participants p
      WHERE p.group_id = g.id AND p.is_active AND NOT p.is_shared)
    WHERE g.id IN (NEW.group_id, OLD.group_id);
  UPDATE live.classroom_sessions s SET total_students = (
      SELECT count(DISTINCT coalesce(p.student_id, p.id)) FROM live.participants p
      WHERE p.session_id = s.id AND NOT p.is_shared)
    WHERE s.id = coalesce(NEW.session_id, OLD.session_id);
  RETURN NULL;
END $$;
CREATE TRIGGER count_participants AFTER INSERT OR DELETE OR UPDATE OF group_id, is_active
ON live.participants FOR EACH ROW EXECUTE FUNCTION live.count_participants();

CREATE FUNCTION live.count_talk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE live.participants p SET
      total_speaking_time_seconds = p.total_speaking_time_seconds + t.seconds,
      interaction_count = p.interaction_count + t.turns
    FROM (SELECT speaker_id, sum(duration_seconds) AS seconds, count(*) AS turns
          FROM new_rows WHERE speaker_id IS NOT NULL GROUP BY speaker_id) t
    WHERE p.id = t.speaker_id;
  UPDATE live.student_groups g SET
      total_speaking_time_seconds = g.total_speaking_time_seconds + t.seconds
    FROM (SELECT group_id, sum(duration_seconds) AS seconds
          FROM new_rows WHERE group_id IS NOT NULL GROUP BY group_id ORDER BY group_id) t
    WHERE g.id = t.group_id;
  RETURN NULL;
END $$;
CREATE TRIGGER count_talk AFTER INSERT ON live.transcriptions
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION live.count_talk();

CREATE FUNCTION live.count_messages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE live.participants SET message_count = message_count + 1
    WHERE id = NEW.sender_id AND NEW.sender_type = 'participant';
  RETURN NULL;
END $$;
CREATE TRIGGER count_messages AFTER INSERT ON live.messages
FOR EACH ROW EXECUTE FUNCTION live.count_messages();

CREATE FUNCTION live.count_teaching() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE directory.teachers t SET
      total_sessions_created = t.total_sessions_created + (TG_OP = 'INSERT')::int,
      current_sessions = (SELECT count(*) FROM live.classroom_sessions s
        WHERE s.teacher_id = t.user_id AND s.status IN ('live', 'paused'))
    WHERE t.user_id = NEW.teacher_id;
  RETURN NULL;
END $$;
CREATE TRIGGER count_teaching AFTER INSERT OR UPDATE OF status ON live.classroom_sessions
FOR EACH ROW EXECUTE FUNCTION live.count_teaching();

CREATE POLICY lookup ON live.classroom_sessions FOR SELECT TO classweave_owner USING (true);

CREATE POLICY lookup ON live.participants FOR SELECT TO classweave_owner USING (true);

CREATE POLICY lookup ON live.tracks FOR SELECT TO classweave_owner USING (true);

CREATE FUNCTION live.find_session_by_code(code text)
RETURNS TABLE (id uuid, organization_id uuid, status live.session_status)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT s.id, s.organization_id, s.status FROM live.classroom_sessions s
  WHERE s.access_code = code
  ORDER BY s.status IN ('open', 'live', 'paused') DESC, s.created_at DESC LIMIT 1
$$;

CREATE FUNCTION live.identify_device(hash bytea)
RETURNS TABLE (participant_id uuid, session_id uuid, organization_id uuid, student_id uuid,
  display_name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT p.id, p.session_id, p.organization_id, p.student_id, p.display_name
  FROM live.participants p WHERE p.token_hash = hash AND p.is_active
$$;

CREATE FUNCTION live.tracks_to_read(moment timestamptz, most int)
RETURNS TABLE (id uuid, organization_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT t.id, t.organization_id FROM live.tracks t
  WHERE t.finished_at IS NULL
    AND (t.leased_until IS NULL OR t.leased_until < moment)
  ORDER BY t.started_at LIMIT most
$$;

CREATE FUNCTION attend.next_revision(organization uuid) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  setting text := 'classweave.rev_' || replace(organization::text, '-', '');
  taken text := current_setting(setting, true);
BEGIN
  IF taken IS NULL OR taken = '' THEN
    UPDATE attend.sync_clocks SET rev = rev + 1 WHERE organization_id = organization
      RETURNING rev::text INTO taken;
    IF taken IS NULL THEN RETURN NULL; END IF;
    INSERT INTO attend.revisions (organization_id, rev, actor_id, device_id)
      VALUES (organization, taken::bigint, ops.current_actor(),
        nullif(current_setting('classweave.device', true), '')::uuid);
    PERFORM set_config(setting, taken, true);
  END IF;
  RETURN taken::bigint;
END $$;

CREATE FUNCTION attend.begin_generation(organization uuid) RETURNS void LANGUAGE sql AS $$
  -- A later one, for clients suspect a timestamp that falls; by chance how much later, for two
  -- restores of one backup must not agree. After a hundred of them it begins anew.
  UPDATE attend.sync_clocks
    SET generation = (generation + floor(random() * 1024)::integer) % 131071 + 1
    WHERE organization_id = organization
$$;

CREATE FUNCTION attend.visible_terms() RETURNS integer[] LANGUAGE sql STABLE AS $$
  SELECT coalesce(array_agg(number), '{}') FROM attend.terms
$$;

ALTER TABLE attend.attendance_records ENABLE ROW LEVEL SECURITY;

ALTER TABLE attend.attendance_records FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON attend.attendance_records USING (term = ANY ((SELECT attend.visible_terms())::integer[])) WITH CHECK (term = ANY ((SELECT attend.visible_terms())::integer[]));

CREATE FUNCTION attend.make_partition() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  EXECUTE format('CREATE TABLE attend.records_%s (LIKE attend.attendance_records'
    ' INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', NEW.number);
  EXECUTE format('ALTER TABLE attend.records_%s ENABLE ROW LEVEL SECURITY', NEW.number);
  EXECUTE format('ALTER TABLE attend.records_%s FORCE ROW LEVEL SECURITY', NEW.number);
  EXECUTE format('ALTER TABLE attend.attendance_records ATTACH PARTITION attend.records_%s'
    ' FOR VALUES IN (%s)', NEW.number, NEW.number);
  RETURN NULL;
END $$;

CREATE TRIGGER partition AFTER INSERT ON attend.terms FOR EACH ROW EXECUTE FUNCTION attend.make_partition();

CREATE FUNCTION attend.drop_records(term_number integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM attend.terms
      WHERE number = term_number AND archived_at IS NOT NULL) THEN
    RAISE EXCEPTION 'only the records of an archived term are dropped'
      USING ERRCODE = 'check_violation';
  END IF;
  EXECUTE format('DROP TABLE IF EXISTS attend.records_%s', term_number);
END $$;

CREATE FUNCTION attend.enrolled_on(class uuid, day date) RETURNS TABLE (student_id uuid)
LANGUAGE sql STABLE AS $$
  SELECT DISTINCT e.student_id FROM directory.enrollments e
  WHERE e.class_id = class AND e.starts_on <= day AND (e.ends_on IS NULL OR e.ends_on > day)
$$;

CREATE FUNCTION attend.seat(classes uuid[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO attend.places (organization_id, class_id, number, student_id)
    SELECT e.organization_id, e.class_id,
      coalesce((SELECT max(number) FROM attend.places p WHERE p.class_id = e.class_id), 0)
        + row_number() OVER (PARTITION BY e.class_id ORDER BY e.student_id), e.student_id
    FROM (SELECT DISTINCT organization_id, class_id, student_id FROM directory.enrollments
      WHERE class_id = ANY (classes)) e
    WHERE NOT EXISTS (SELECT FROM attend.places p
      WHERE p.class_id = e.class_id AND p.student_id = e.student_id)
$$;

CREATE FUNCTION attend.counted(class uuid, term_number integer, session bigint, day date)
RETURNS TABLE (place smallint, status smallint) LANGUAGE sql STABLE AS $$
  SELECT r.place, r.status FROM attend.attendance_records r
    JOIN attend.places p ON p.class_id = class AND p.number = r.place
    JOIN attend.enrolled_on(class, day) e ON e.student_id = p.student_id
  WHERE r.term = term_number AND r.session_no = session
$$;

CREATE FUNCTION attend.tally(organization uuid, class uuid, cells integer[], signs integer[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE kept integer[];
BEGIN
  SELECT counts INTO kept FROM attend.tallies WHERE class_id = class FOR UPDATE;
  kept := coalesce(kept, '{}');
  FOR i IN 1 .. cardinality(cells) LOOP
    kept[cells[i]] := coalesce(kept[cells[i]], 0) + signs[i];
  END LOOP;
  INSERT INTO attend.tallies (organization_id, class_id, counts) VALUES (organization, class, kept)
    ON CONFLICT (class_id) DO UPDATE SET counts = excluded.counts;
END $$;

CREATE VIEW attend.standings WITH (security_invoker = true) AS SELECT p.organization_id, p.class_id, p.number, p.student_id, coalesce(t.counts[5 * p.number - 4], 0) AS held, coalesce(t.counts[5 * p.number - 4 + 1], 0) AS present, coalesce(t.counts[5 * p.number - 4 + 2], 0) AS late, coalesce(t.counts[5 * p.number - 4 + 3], 0) AS excused, coalesce(t.counts[5 * p.number - 4 + 4], 0) AS left_early FROM attend.places p LEFT JOIN attend.tallies t ON t.class_id = p.class_id;

GRANT SELECT ON attend.standings TO classweave_app;

CREATE FUNCTION attend.settle_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.rev := attend.next_revision(NEW.organization_id);
  IF TG_OP = 'INSERT' OR NEW.date <> OLD.date THEN
    NEW.total_enrolled := (SELECT count(*) FROM attend.enrolled_on(NEW.class_id, NEW.date));
  END IF;
  IF TG_OP = 'UPDATE' AND NEW.date <> OLD.date THEN
    SELECT d.present + d.late + d.left_early, d.late, d.excused, d.left_early
      INTO NEW.total_present, NEW.total_late, NEW.total_excused, NEW.total_left_early
      FROM (SELECT coalesce(sum(1) FILTER (WHERE status = 1 AND true), 0) AS present, coalesce(sum(1) FILTER (WHERE status = 2 AND true), 0) AS late, coalesce(sum(1) FILTER (WHERE status = 3 AND true), 0) AS excused, coalesce(sum(1) FILTER (WHERE status = 4 AND true), 0) AS left_early
        FROM attend.counted(NEW.class_id, NEW.term, NEW.no, NEW.date)) d;
  END IF;
  NEW.total_absent := CASE WHEN NEW.marked_at IS NULL THEN 0
    ELSE NEW.total_enrolled - NEW.total_present - NEW.total_excused END;
  RETURN NEW;
END $$;

CREATE TRIGGER settle BEFORE INSERT OR UPDATE ON attend.attendance_sessions FOR EACH ROW EXECUTE FUNCTION attend.settle_session();

CREATE FUNCTION attend.sessions_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM attend.tally(t.organization_id, t.class_id, t.cells, t.signs) FROM (
    WITH changed AS MATERIALIZED (
      SELECT c.organization_id, c.no, c.class_id, c.term, c.date, c.sign FROM (SELECT n.*, 1 AS sign FROM new_rows n) c
      WHERE c.marked_at IS NOT NULL AND c.deleted_at IS NULL
    )
    SELECT organization_id, class_id, array_agg(cell) AS cells, array_agg(sign) AS signs
    FROM (SELECT c.organization_id, c.class_id, 5 * p.number - 4 AS cell, c.sign
    FROM changed c CROSS JOIN LATERAL attend.enrolled_on(c.class_id, c.date) e
      JOIN attend.places p ON p.class_id = c.class_id AND p.student_id = e.student_id) x GROUP BY 1, 2) t;
  RETURN NULL;
END $$;

CREATE TRIGGER changed_insert AFTER INSERT ON attend.attendance_sessions REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION attend.sessions_insert();

CREATE FUNCTION attend.sessions_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.tombstones (organization_id, table_name, id, class_id, rev)
    SELECT n.organization_id, 'attendance_sessions', n.id, n.class_id, n.rev
    FROM new_rows n JOIN old_rows o ON o.no = n.no
    WHERE n.deleted_at IS NOT NULL AND o.deleted_at IS NULL
    ON CONFLICT (organization_id, table_name, id) DO UPDATE SET rev = excluded.rev;
  IF NOT EXISTS (SELECT FROM new_rows n JOIN old_rows o ON o.no = n.no WHERE (n.marked_at IS NULL, n.deleted_at IS NULL, n.date)
  IS DISTINCT FROM (o.marked_at IS NULL, o.deleted_at IS NULL, o.date))
  THEN RETURN NULL; END IF;
  PERFORM attend.tally(t.organization_id, t.class_id, t.cells, t.signs) FROM (
    WITH changed AS MATERIALIZED (
      SELECT c.organization_id, c.no, c.class_id, c.term, c.date, c.sign FROM (SELECT n.*, 1 AS sign FROM new_rows n JOIN old_rows o ON o.no = n.no WHERE (n.marked_at IS NULL, n.deleted_at IS NULL, n.date)
  IS DISTINCT FROM (o.marked_at IS NULL, o.deleted_at IS NULL, o.date) UNION ALL SELECT o.*, -1 FROM new_rows n JOIN old_rows o ON o.no = n.no WHERE (n.marked_at IS NULL, n.deleted_at IS NULL, n.date)
  IS DISTINCT FROM (o.marked_at IS NULL, o.deleted_at IS NULL, o.date)) c
      WHERE c.marked_at IS NOT NULL AND c.deleted_at IS NULL
    )
    SELECT organization_id, class_id, array_agg(cell) AS cells, array_agg(sign) AS signs
    FROM (SELECT c.organization_id, c.class_id, 5 * p.number - 4 AS cell, c.sign
    FROM changed c CROSS JOIN LATERAL attend.enrolled_on(c.class_id, c.date) e
      JOIN attend.places p ON p.class_id = c.class_id AND p.student_id = e.student_id UNION ALL SELECT c.organization_id, c.class_id, 5 * r.place - 4 + r.status, c.sign
    FROM changed c CROSS JOIN LATERAL attend.counted(c.class_id, c.term, c.no, c.date) r) x GROUP BY 1, 2) t;
  RETURN NULL;
END $$;

CREATE TRIGGER changed_update AFTER UPDATE ON attend.attendance_sessions REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION attend.sessions_update();

CREATE FUNCTION attend.record_digest(
  id text, student uuid, status smallint, minutes smallint, notes text) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT crc32(convert_to(id || '|' || student || '|'
    || (ARRAY['present', 'late', 'excused', 'left_early'])[status]
    || '|' || coalesce(minutes::text, '') || '|' || coalesce(notes, ''), 'UTF8'))
$$;

CREATE FUNCTION attend.records_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  now_rev bigint;
  one record;
BEGIN
  SELECT max(rev) INTO now_rev FROM new_rows;
  IF now_rev IS NULL THEN RETURN NULL; END IF;
  FOR one IN
    WITH marks AS MATERIALIZED (SELECT *, 1 AS sign FROM new_rows), touched AS MATERIALIZED (
      SELECT s.no, s.organization_id, s.class_id, s.date,
        s.marked_at IS NOT NULL AND s.deleted_at IS NULL AS taken
      FROM attend.attendance_sessions s WHERE s.no IN (SELECT session_no FROM marks)
    ), enrolled AS MATERIALIZED (
      SELECT t.no, e.student_id
      FROM touched t CROSS JOIN LATERAL attend.enrolled_on(t.class_id, t.date) e
    ), changed AS MATERIALIZED (
      SELECT t.no, t.organization_id, t.class_id, t.taken, c.place, c.status, c.sign,
        e.student_id IS NOT NULL AS counts,
        attend.record_digest(c.id, p.student_id, c.status, c.minutes, c.notes) AS digest
      FROM marks c JOIN touched t ON t.no = c.session_no
        JOIN attend.places p ON p.class_id = t.class_id AND p.number = c.place
        LEFT JOIN enrolled e ON e.no = t.no AND e.student_id = p.student_id
    ), summed AS (
      UPDATE attend.attendance_sessions s SET total_present = s.total_present + d.present + d.late + d.left_early,
      total_late = s.total_late + d.late, total_excused = s.total_excused + d.excused,
      total_left_early = s.total_left_early + d.left_early,
        digest = ((s.digest + d.digest) % 4294967296 + 4294967296) % 4294967296,
        records_rev = now_rev
      FROM (SELECT no, coalesce(sum(sign) FILTER (WHERE status = 1 AND counts), 0) AS present, coalesce(sum(sign) FILTER (WHERE status = 2 AND counts), 0) AS late, coalesce(sum(sign) FILTER (WHERE status = 3 AND counts), 0) AS excused, coalesce(sum(sign) FILTER (WHERE status = 4 AND counts), 0) AS left_early, sum(sign * digest)::bigint AS digest
        FROM changed GROUP BY 1) d
      WHERE s.no = d.no
    )
    SELECT organization_id, class_id, array_agg(5 * place - 4 + status) AS cells,
      array_agg(sign) AS signs
    FROM changed WHERE counts AND taken GROUP BY 1, 2
  LOOP PERFORM attend.tally(one.organization_id, one.class_id, one.cells, one.signs); END LOOP;
  RETURN NULL;
END $$;

CREATE TRIGGER changed_insert AFTER INSERT ON attend.attendance_records REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION attend.records_insert();

CREATE FUNCTION attend.records_update() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  now_rev bigint;
  one record;
BEGIN
  SELECT attend.next_revision(s.organization_id) INTO now_rev
    FROM old_rows o JOIN attend.attendance_sessions s ON s.no = o.session_no LIMIT 1;
  INSERT INTO attend.record_history (organization_id, session_no, place, rev, until_rev, id,
      status, minutes, marked_at, notes)
    SELECT s.organization_id, o.session_no, o.place, o.rev, now_rev, o.id, o.status, o.minutes,
      o.marked_at, o.notes
    FROM old_rows o JOIN attend.attendance_sessions s ON s.no = o.session_no
    WHERE o.rev < now_rev ON CONFLICT DO NOTHING;
  IF now_rev IS NULL THEN RETURN NULL; END IF;
  FOR one IN
    WITH marks AS MATERIALIZED (SELECT *, 1 AS sign FROM new_rows UNION ALL SELECT *, -1 FROM old_rows), touched AS MATERIALIZED (
      SELECT s.no, s.organization_id, s.class_id, s.date,
        s.marked_at IS NOT NULL AND s.deleted_at IS NULL AS taken
      FROM attend.attendance_sessions s WHERE s.no IN (SELECT session_no FROM marks)
    ), enrolled AS MATERIALIZED (
      SELECT t.no, e.student_id
      FROM touched t CROSS JOIN LATERAL attend.enrolled_on(t.class_id, t.date) e
    ), changed AS MATERIALIZED (
      SELECT t.no, t.organization_id, t.class_id, t.taken, c.place, c.status, c.sign,
        e.student_id IS NOT NULL AS counts,
        attend.record_digest(c.id, p.student_id, c.status, c.minutes, c.notes) AS digest
      FROM marks c JOIN touched t ON t.no = c.session_no
        JOIN attend.places p ON p.class_id = t.class_id AND p.number = c.place
        LEFT JOIN enrolled e ON e.no = t.no AND e.student_id = p.student_id
    ), summed AS (
      UPDATE attend.attendance_sessions s SET total_present = s.total_present + d.present + d.late + d.left_early,
      total_late = s.total_late + d.late, total_excused = s.total_excused + d.excused,
      total_left_early = s.total_left_early + d.left_early,
        digest = ((s.digest + d.digest) % 4294967296 + 4294967296) % 4294967296,
        records_rev = now_rev
      FROM (SELECT no, coalesce(sum(sign) FILTER (WHERE status = 1 AND counts), 0) AS present, coalesce(sum(sign) FILTER (WHERE status = 2 AND counts), 0) AS late, coalesce(sum(sign) FILTER (WHERE status = 3 AND counts), 0) AS excused, coalesce(sum(sign) FILTER (WHERE status = 4 AND counts), 0) AS left_early, sum(sign * digest)::bigint AS digest
        FROM changed GROUP BY 1) d
      WHERE s.no = d.no
    )
    SELECT organization_id, class_id, array_agg(5 * place - 4 + status) AS cells,
      array_agg(sign) AS signs
    FROM changed WHERE counts AND taken GROUP BY 1, 2
  LOOP PERFORM attend.tally(one.organization_id, one.class_id, one.cells, one.signs); END LOOP;
  RETURN NULL;
END $$;

CREATE TRIGGER changed_update AFTER UPDATE ON attend.attendance_records REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION attend.records_update();

CREATE FUNCTION attend.records_delete() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  now_rev bigint;
  one record;
BEGIN
  SELECT attend.next_revision(s.organization_id) INTO now_rev
    FROM old_rows o JOIN attend.attendance_sessions s ON s.no = o.session_no LIMIT 1;
  INSERT INTO attend.record_history (organization_id, session_no, place, rev, until_rev, id,
      status, minutes, marked_at, notes)
    SELECT s.organization_id, o.session_no, o.place, o.rev, now_rev, o.id, o.status, o.minutes,
      o.marked_at, o.notes
    FROM old_rows o JOIN attend.attendance_sessions s ON s.no = o.session_no
    WHERE o.rev < now_rev ON CONFLICT DO NOTHING;
  INSERT INTO attend.tombstones (organization_id, table_name, id, class_id, rev)
    SELECT s.organization_id, 'attendance_records', o.id, s.class_id, now_rev
    FROM old_rows o JOIN attend.attendance_sessions s ON s.no = o.session_no
    ON CONFLICT (organization_id, table_name, id) DO UPDATE SET rev = excluded.rev;
  IF now_rev IS NULL THEN RETURN NULL; END IF;
  FOR one IN
    WITH marks AS MATERIALIZED (SELECT *, -1 AS sign FROM old_rows), touched AS MATERIALIZED (
      SELECT s.no, s.organization_id, s.class_id, s.date,
        s.marked_at IS NOT NULL AND s.deleted_at IS NULL AS taken
      FROM attend.attendance_sessions s WHERE s.no IN (SELECT session_no FROM marks)
    ), enrolled AS MATERIALIZED (
      SELECT t.no, e.student_id
      FROM touched t CROSS JOIN LATERAL attend.enrolled_on(t.class_id, t.date) e
    ), changed AS MATERIALIZED (
      SELECT t.no, t.organization_id, t.class_id, t.taken, c.place, c.status, c.sign,
        e.student_id IS NOT NULL AS counts,
        attend.record_digest(c.id, p.student_id, c.status, c.minutes, c.notes) AS digest
      FROM marks c JOIN touched t ON t.no = c.session_no
        JOIN attend.places p ON p.class_id = t.class_id AND p.number = c.place
        LEFT JOIN enrolled e ON e.no = t.no AND e.student_id = p.student_id
    ), summed AS (
      UPDATE attend.attendance_sessions s SET total_present = s.total_present + d.present + d.late + d.left_early,
      total_late = s.total_late + d.late, total_excused = s.total_excused + d.excused,
      total_left_early = s.total_left_early + d.left_early,
        digest = ((s.digest + d.digest) % 4294967296 + 4294967296) % 4294967296,
        records_rev = now_rev
      FROM (SELECT no, coalesce(sum(sign) FILTER (WHERE status = 1 AND counts), 0) AS present, coalesce(sum(sign) FILTER (WHERE status = 2 AND counts), 0) AS late, coalesce(sum(sign) FILTER (WHERE status = 3 AND counts), 0) AS excused, coalesce(sum(sign) FILTER (WHERE status = 4 AND counts), 0) AS left_early, sum(sign * digest)::bigint AS digest
        FROM changed GROUP BY 1) d
      WHERE s.no = d.no
    )
    SELECT organization_id, class_id, array_agg(5 * place - 4 + status) AS cells,
      array_agg(sign) AS signs
    FROM changed WHERE counts AND taken GROUP BY 1, 2
  LOOP PERFORM attend.tally(one.organization_id, one.class_id, one.cells, one.signs); END LOOP;
  RETURN NULL;
END $$;

CREATE TRIGGER changed_delete AFTER DELETE ON attend.attendance_records REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION attend.records_delete();

CREATE FUNCTION attend.enrolment_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE one record;
BEGIN
  PERFORM attend.seat(ARRAY(SELECT DISTINCT c.class_id FROM (SELECT * FROM new_rows) c
    JOIN attend.sync_clocks k ON k.organization_id = c.organization_id));
  FOR one IN
    WITH turned AS MATERIALIZED (
      SELECT s.no, s.organization_id, s.class_id, s.term, p.number, r.status,
        s.marked_at IS NOT NULL AS taken,
        (h.enrolled > 0)::integer - (h.enrolled - h.added + h.gone > 0)::integer AS sign
      FROM (SELECT class_id, student_id FROM (SELECT * FROM new_rows) c
          UNION SELECT class_id, student_id FROM (SELECT * FROM new_rows WHERE false) c) c
        JOIN attend.attendance_sessions s ON s.class_id = c.class_id AND s.deleted_at IS NULL
        JOIN attend.terms t ON t.number = s.term AND t.archived_at IS NULL
        LEFT JOIN attend.places p ON p.class_id = c.class_id AND p.student_id = c.student_id
        CROSS JOIN LATERAL (SELECT (SELECT count(*) FROM directory.enrollments x WHERE x.class_id = s.class_id AND x.student_id = c.student_id AND x.starts_on <= s.date AND (x.ends_on IS NULL OR x.ends_on > s.date)) AS enrolled, (SELECT count(*) FROM (SELECT * FROM new_rows) x WHERE x.class_id = s.class_id AND x.student_id = c.student_id AND x.starts_on <= s.date AND (x.ends_on IS NULL OR x.ends_on > s.date)) AS added, (SELECT count(*) FROM (SELECT * FROM new_rows WHERE false) x WHERE x.class_id = s.class_id AND x.student_id = c.student_id AND x.starts_on <= s.date AND (x.ends_on IS NULL OR x.ends_on > s.date)) AS gone) h
        LEFT JOIN attend.attendance_records r
          ON r.term = s.term AND r.session_no = s.no AND r.place = p.number
    ), summed AS (
      UPDATE attend.attendance_sessions s SET total_enrolled = s.total_enrolled + d.enrolled,
        total_present = s.total_present + d.present + d.late + d.left_early,
      total_late = s.total_late + d.late, total_excused = s.total_excused + d.excused,
      total_left_early = s.total_left_early + d.left_early
      FROM (SELECT no, sum(sign) AS enrolled, coalesce(sum(sign) FILTER (WHERE status = 1 AND true), 0) AS present, coalesce(sum(sign) FILTER (WHERE status = 2 AND true), 0) AS late, coalesce(sum(sign) FILTER (WHERE status = 3 AND true), 0) AS excused, coalesce(sum(sign) FILTER (WHERE status = 4 AND true), 0) AS left_early FROM turned WHERE sign <> 0 GROUP BY 1) d
      WHERE s.no = d.no
    )
    SELECT organization_id, class_id, array_agg(cell) AS cells, array_agg(sign) AS signs
    FROM (SELECT organization_id, class_id, 5 * number - 4 AS cell, sign FROM turned
        WHERE taken AND sign <> 0 AND number IS NOT NULL
      UNION ALL SELECT organization_id, class_id, 5 * number - 4 + status, sign FROM turned
        WHERE taken AND sign <> 0 AND status IS NOT NULL) x GROUP BY 1, 2
  LOOP PERFORM attend.tally(one.organization_id, one.class_id, one.cells, one.signs); END LOOP;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_recount_insert AFTER INSERT ON directory.enrollments REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION attend.enrolment_insert();

CREATE FUNCTION attend.enrolment_update() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE one record;
BEGIN
  PERFORM attend.seat(ARRAY(SELECT DISTINCT c.class_id FROM (SELECT * FROM new_rows) c
    JOIN attend.sync_clocks k ON k.organization_id = c.organization_id));
  FOR one IN
    WITH turned AS MATERIALIZED (
      SELECT s.no, s.organization_id, s.class_id, s.term, p.number, r.status,
        s.marked_at IS NOT NULL AS taken,
        (h.enrolled > 0)::integer - (h.enrolled - h.added + h.gone > 0)::integer AS sign
      FROM (SELECT class_id, student_id FROM (SELECT * FROM new_rows) c
          UNION SELECT class_id, student_id FROM (SELECT * FROM old_rows) c) c
        JOIN attend.attendance_sessions s ON s.class_id = c.class_id AND s.deleted_at IS NULL
        JOIN attend.terms t ON t.number = s.term AND t.archived_at IS NULL
        LEFT JOIN attend.places p ON p.class_id = c.class_id AND p.student_id = c.student_id
        CROSS JOIN LATERAL (SELECT (SELECT count(*) FROM directory.enrollments x WHERE x.class_id = s.class_id AND x.student_id = c.student_id AND x.starts_on <= s.date AND (x.ends_on IS NULL OR x.ends_on > s.date)) AS enrolled, (SELECT count(*) FROM (SELECT * FROM new_rows) x WHERE x.class_id = s.class_id AND x.student_id = c.student_id AND x.starts_on <= s.date AND (x.ends_on IS NULL OR x.ends_on > s.date)) AS added, (SELECT count(*) FROM (SELECT * FROM old_rows) x WHERE x.class_id = s.class_id AND x.student_id = c.student_id AND x.starts_on <= s.date AND (x.ends_on IS NULL OR x.ends_on > s.date)) AS gone) h
        LEFT JOIN attend.attendance_records r
          ON r.term = s.term AND r.session_no = s.no AND r.place = p.number
    ), summed AS (
      UPDATE attend.attendance_sessions s SET total_enrolled = s.total_enrolled + d.enrolled,
        total_present = s.total_present + d.present + d.late + d.left_early,
      total_late = s.total_late + d.late, total_excused = s.total_excused + d.excused,
      total_left_early = s.total_left_early + d.left_early
      FROM (SELECT no, sum(sign) AS enrolled, coalesce(sum(sign) FILTER (WHERE status = 1 AND true), 0) AS present, coalesce(sum(sign) FILTER (WHERE status = 2 AND true), 0) AS late, coalesce(sum(sign) FILTER (WHERE status = 3 AND true), 0) AS excused, coalesce(sum(sign) FILTER (WHERE status = 4 AND true), 0) AS left_early FROM turned WHERE sign <> 0 GROUP BY 1) d
      WHERE s.no = d.no
    )
    SELECT organization_id, class_id, array_agg(cell) AS cells, array_agg(sign) AS signs
    FROM (SELECT organization_id, class_id, 5 * number - 4 AS cell, sign FROM turned
        WHERE taken AND sign <> 0 AND number IS NOT NULL
      UNION ALL SELECT organization_id, class_id, 5 * number - 4 + status, sign FROM turned
        WHERE taken AND sign <> 0 AND status IS NOT NULL) x GROUP BY 1, 2
  LOOP PERFORM attend.tally(one.organization_id, one.class_id, one.cells, one.signs); END LOOP;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_recount_update AFTER UPDATE ON directory.enrollments REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION attend.enrolment_update();

CREATE FUNCTION attend.enrolment_delete() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE one record;
BEGIN
  PERFORM attend.seat(ARRAY(SELECT DISTINCT c.class_id FROM (SELECT * FROM old_rows WHERE false) c
    JOIN attend.sync_clocks k ON k.organization_id = c.organization_id));
  FOR one IN
    WITH turned AS MATERIALIZED (
      SELECT s.no, s.organization_id, s.class_id, s.term, p.number, r.status,
        s.marked_at IS NOT NULL AS taken,
        (h.enrolled > 0)::integer - (h.enrolled - h.added + h.gone > 0)::integer AS sign
      FROM (SELECT class_id, student_id FROM (SELECT * FROM old_rows WHERE false) c
          UNION SELECT class_id, student_id FROM (SELECT * FROM old_rows) c) c
        JOIN attend.attendance_sessions s ON s.class_id = c.class_id AND s.deleted_at IS NULL
        JOIN attend.terms t ON t.number = s.term AND t.archived_at IS NULL
        LEFT JOIN attend.places p ON p.class_id = c.class_id AND p.student_id = c.student_id
        CROSS JOIN LATERAL (SELECT (SELECT count(*) FROM directory.enrollments x WHERE x.class_id = s.class_id AND x.student_id = c.student_id AND x.starts_on <= s.date AND (x.ends_on IS NULL OR x.ends_on > s.date)) AS enrolled, (SELECT count(*) FROM (SELECT * FROM old_rows WHERE false) x WHERE x.class_id = s.class_id AND x.student_id = c.student_id AND x.starts_on <= s.date AND (x.ends_on IS NULL OR x.ends_on > s.date)) AS added, (SELECT count(*) FROM (SELECT * FROM old_rows) x WHERE x.class_id = s.class_id AND x.student_id = c.student_id AND x.starts_on <= s.date AND (x.ends_on IS NULL OR x.ends_on > s.date)) AS gone) h
        LEFT JOIN attend.attendance_records r
          ON r.term = s.term AND r.session_no = s.no AND r.place = p.number
    ), summed AS (
      UPDATE attend.attendance_sessions s SET total_enrolled = s.total_enrolled + d.enrolled,
        total_present = s.total_present + d.present + d.late + d.left_early,
      total_late = s.total_late + d.late, total_excused = s.total_excused + d.excused,
      total_left_early = s.total_left_early + d.left_early
      FROM (SELECT no, sum(sign) AS enrolled, coalesce(sum(sign) FILTER (WHERE status = 1 AND true), 0) AS present, coalesce(sum(sign) FILTER (WHERE status = 2 AND true), 0) AS late, coalesce(sum(sign) FILTER (WHERE status = 3 AND true), 0) AS excused, coalesce(sum(sign) FILTER (WHERE status = 4 AND true), 0) AS left_early FROM turned WHERE sign <> 0 GROUP BY 1) d
      WHERE s.no = d.no
    )
    SELECT organization_id, class_id, array_agg(cell) AS cells, array_agg(sign) AS signs
    FROM (SELECT organization_id, class_id, 5 * number - 4 AS cell, sign FROM turned
        WHERE taken AND sign <> 0 AND number IS NOT NULL
      UNION ALL SELECT organization_id, class_id, 5 * number - 4 + status, sign FROM turned
        WHERE taken AND sign <> 0 AND status IS NOT NULL) x GROUP BY 1, 2
  LOOP PERFORM attend.tally(one.organization_id, one.class_id, one.cells, one.signs); END LOOP;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_recount_delete AFTER DELETE ON directory.enrollments REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION attend.enrolment_delete();

CREATE FUNCTION attend.stamp_meeting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO attend.tombstones (organization_id, table_name, id, class_id, rev)
      SELECT OLD.organization_id, 'meetings', OLD.id::text, OLD.class_id, r
      FROM attend.next_revision(OLD.organization_id) r WHERE r IS NOT NULL
      ON CONFLICT (organization_id, table_name, id) DO UPDATE SET rev = excluded.rev;
    RETURN OLD;
  END IF;
  NEW.rev := coalesce(attend.next_revision(NEW.organization_id), 0);
  RETURN NEW;
END $$;

CREATE TRIGGER stamp BEFORE INSERT OR UPDATE OR DELETE ON attend.meetings FOR EACH ROW EXECUTE FUNCTION attend.stamp_meeting();

CREATE FUNCTION attend.feed_organizations_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.directory_changes (organization_id, table_name, id, class_id, rev, deleted)
    SELECT r.id, 'organizations', r.id, NULL::uuid,
      attend.next_revision(r.id), false
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.id)
    ON CONFLICT (organization_id, table_name, id)
      DO UPDATE SET rev = excluded.rev, deleted = excluded.deleted;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_feed_insert AFTER INSERT ON directory.organizations REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION attend.feed_organizations_insert();

CREATE FUNCTION attend.feed_organizations_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.directory_changes (organization_id, table_name, id, class_id, rev, deleted)
    SELECT r.id, 'organizations', r.id, NULL::uuid,
      attend.next_revision(r.id), false
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.id)
    ON CONFLICT (organization_id, table_name, id)
      DO UPDATE SET rev = excluded.rev, deleted = excluded.deleted;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_feed_update AFTER UPDATE ON directory.organizations REFERENCING OLD TABLE AS before NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION attend.feed_organizations_update();

CREATE FUNCTION attend.feed_users_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.directory_changes (organization_id, table_name, id, class_id, rev, deleted)
    SELECT r.organization_id, 'users', r.id, NULL::uuid,
      attend.next_revision(r.organization_id), false
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.organization_id)
    ON CONFLICT (organization_id, table_name, id)
      DO UPDATE SET rev = excluded.rev, deleted = excluded.deleted;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_feed_insert AFTER INSERT ON directory.users REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION attend.feed_users_insert();

CREATE FUNCTION attend.feed_users_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.directory_changes (organization_id, table_name, id, class_id, rev, deleted)
    SELECT r.organization_id, 'users', r.id, NULL::uuid,
      attend.next_revision(r.organization_id), false
    FROM changed r JOIN before b ON b.id = r.id AND (r.name, r.email, r.role, r.status) IS DISTINCT FROM (b.name, b.email, b.role, b.status)
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.organization_id)
    ON CONFLICT (organization_id, table_name, id)
      DO UPDATE SET rev = excluded.rev, deleted = excluded.deleted;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_feed_update AFTER UPDATE ON directory.users REFERENCING OLD TABLE AS before NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION attend.feed_users_update();

CREATE FUNCTION attend.feed_users_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.directory_changes (organization_id, table_name, id, class_id, rev, deleted)
    SELECT r.organization_id, 'users', r.id, NULL::uuid,
      attend.next_revision(r.organization_id), true
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.organization_id)
    ON CONFLICT (organization_id, table_name, id)
      DO UPDATE SET rev = excluded.rev, deleted = excluded.deleted;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_feed_delete AFTER DELETE ON directory.users REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION attend.feed_users_delete();

CREATE FUNCTION attend.feed_classes_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.directory_changes (organization_id, table_name, id, class_id, rev, deleted)
    SELECT r.organization_id, 'classes', r.id, r.id,
      attend.next_revision(r.organization_id), false
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.organization_id)
    ON CONFLICT (organization_id, table_name, id)
      DO UPDATE SET rev = excluded.rev, deleted = excluded.deleted;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_feed_insert AFTER INSERT ON directory.classes REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION attend.feed_classes_insert();

CREATE FUNCTION attend.feed_classes_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.directory_changes (organization_id, table_name, id, class_id, rev, deleted)
    SELECT r.organization_id, 'classes', r.id, r.id,
      attend.next_revision(r.organization_id), false
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.organization_id)
    ON CONFLICT (organization_id, table_name, id)
      DO UPDATE SET rev = excluded.rev, deleted = excluded.deleted;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_feed_update AFTER UPDATE ON directory.classes REFERENCING OLD TABLE AS before NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION attend.feed_classes_update();

CREATE FUNCTION attend.feed_classes_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.directory_changes (organization_id, table_name, id, class_id, rev, deleted)
    SELECT r.organization_id, 'classes', r.id, r.id,
      attend.next_revision(r.organization_id), true
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.organization_id)
    ON CONFLICT (organization_id, table_name, id)
      DO UPDATE SET rev = excluded.rev, deleted = excluded.deleted;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_feed_delete AFTER DELETE ON directory.classes REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION attend.feed_classes_delete();

CREATE FUNCTION attend.feed_students_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.directory_changes (organization_id, table_name, id, class_id, rev, deleted)
    SELECT r.organization_id, 'students', r.id, NULL::uuid,
      attend.next_revision(r.organization_id), false
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.organization_id)
    ON CONFLICT (organization_id, table_name, id)
      DO UPDATE SET rev = excluded.rev, deleted = excluded.deleted;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_feed_insert AFTER INSERT ON directory.students REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION attend.feed_students_insert();

CREATE FUNCTION attend.feed_students_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.directory_changes (organization_id, table_name, id, class_id, rev, deleted)
    SELECT r.organization_id, 'students', r.id, NULL::uuid,
      attend.next_revision(r.organization_id), false
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.organization_id)
    ON CONFLICT (organization_id, table_name, id)
      DO UPDATE SET rev = excluded.rev, deleted = excluded.deleted;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_feed_update AFTER UPDATE ON directory.students REFERENCING OLD TABLE AS before NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION attend.feed_students_update();

CREATE FUNCTION attend.feed_students_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.directory_changes (organization_id, table_name, id, class_id, rev, deleted)
    SELECT r.organization_id, 'students', r.id, NULL::uuid,
      attend.next_revision(r.organization_id), true
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.organization_id)
    ON CONFLICT (organization_id, table_name, id)
      DO UPDATE SET rev = excluded.rev, deleted = excluded.deleted;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_feed_delete AFTER DELETE ON directory.students REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION attend.feed_students_delete();

CREATE FUNCTION attend.feed_enrollments_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.directory_changes (organization_id, table_name, id, class_id, rev, deleted)
    SELECT r.organization_id, 'enrollments', r.id, r.class_id,
      attend.next_revision(r.organization_id), false
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.organization_id)
    ON CONFLICT (organization_id, table_name, id)
      DO UPDATE SET rev = excluded.rev, deleted = excluded.deleted;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_feed_insert AFTER INSERT ON directory.enrollments REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION attend.feed_enrollments_insert();

CREATE FUNCTION attend.feed_enrollments_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.directory_changes (organization_id, table_name, id, class_id, rev, deleted)
    SELECT r.organization_id, 'enrollments', r.id, r.class_id,
      attend.next_revision(r.organization_id), false
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.organization_id)
    ON CONFLICT (organization_id, table_name, id)
      DO UPDATE SET rev = excluded.rev, deleted = excluded.deleted;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_feed_update AFTER UPDATE ON directory.enrollments REFERENCING OLD TABLE AS before NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION attend.feed_enrollments_update();

CREATE FUNCTION attend.feed_enrollments_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.directory_changes (organization_id, table_name, id, class_id, rev, deleted)
    SELECT r.organization_id, 'enrollments', r.id, r.class_id,
      attend.next_revision(r.organization_id), true
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.organization_id)
    ON CONFLICT (organization_id, table_name, id)
      DO UPDATE SET rev = excluded.rev, deleted = excluded.deleted;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_feed_delete AFTER DELETE ON directory.enrollments REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION attend.feed_enrollments_delete();

CREATE FUNCTION attend.see_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.visibility (organization_id, user_id, class_id, granted, rev)
    SELECT r.organization_id, r.user_id, r.class_id, true,
      attend.next_revision(r.organization_id)
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.organization_id)
    ON CONFLICT (user_id, class_id)
      DO UPDATE SET granted = excluded.granted, rev = excluded.rev;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_see_insert AFTER INSERT ON directory.class_teachers REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION attend.see_insert();

CREATE FUNCTION attend.see_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attend.visibility (organization_id, user_id, class_id, granted, rev)
    SELECT r.organization_id, r.user_id, r.class_id, false,
      attend.next_revision(r.organization_id)
    FROM changed r
    WHERE EXISTS (SELECT FROM attend.sync_clocks c WHERE c.organization_id = r.organization_id)
    ON CONFLICT (user_id, class_id)
      DO UPDATE SET granted = excluded.granted, rev = excluded.rev;
  RETURN NULL;
END $$;

CREATE TRIGGER attend_see_delete AFTER DELETE ON directory.class_teachers REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION attend.see_delete();

CREATE POLICY lookup ON attend.devices FOR SELECT TO classweave_owner USING (true);

CREATE FUNCTION attend.identify_device(token bytea) RETURNS TABLE (
  device_id uuid, user_id uuid, role text, name text, organization_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT d.id, u.id, u.role::text, u.name, o.id
  FROM attend.devices d JOIN directory.users u ON u.id = d.user_id
    JOIN directory.organizations o ON o.id = u.organization_id
  WHERE d.token_hash = token AND d.revoked_at IS NULL
    AND u.status = 'active' AND u.deleted_at IS NULL AND u.role <> 'student'
    AND o.is_active AND o.deleted_at IS NULL
$$;

CREATE FUNCTION attend.organization_above(organization uuid) RETURNS TABLE (
  id uuid, name text, code text, timezone text, created_at timestamptz, updated_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT u.id, u.name, u.code, u.timezone, u.created_at, u.updated_at
  FROM directory.organizations o JOIN directory.organizations u ON u.id = o.parent_id
  WHERE o.id = organization AND o.kind = 'faculty'
    AND organization = ANY (ops.current_organizations())
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON attend.sync_log FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION ops.refuse_change();

