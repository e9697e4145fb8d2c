-- The one table of Coolify's that tells whether a deployment is running.
CREATE TABLE application_deployment_queues (
    id bigserial PRIMARY KEY,
    application_id varchar(255) NOT NULL,
    deployment_uuid varchar(255) NOT NULL UNIQUE,
    pull_request_id integer NOT NULL DEFAULT 0,
    force_rebuild boolean NOT NULL DEFAULT false,
    commit varchar(255) NOT NULL DEFAULT 'HEAD',
    status varchar(255) NOT NULL DEFAULT 'queued',
    is_webhook boolean NOT NULL DEFAULT false,
    logs text,
    server_id integer,
    application_name varchar(255),
    server_name varchar(255),
    created_at timestamp(0) DEFAULT now(),
    updated_at timestamp(0) DEFAULT now()
);
