-- What sqlsmith finds: the demo, and tables of every usual type, in which each
-- value of a row that dave may not see carries a mark.  Run by a superuser, from
-- the root of the source tree, after examples/demo-load.sql.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;

-- Ids that carry the mark of what is foreign, in their first twelve digits.
CREATE FUNCTION public.marked_id() RETURNS uuid LANGUAGE sql AS
	$$ SELECT overlay(gen_random_uuid()::text PLACING 'f0e1d2c3-b4a5' FROM 1)::uuid $$;

-- An organization that dave has nothing to do with, and a private project of his own.
INSERT INTO tenancy.users (id, email, name)
	VALUES (marked_id(), 'qx7foreign@example.com', 'Qx7Foreign Frank');
INSERT INTO tenancy.organizations (id, name, owner_id, plan)
	SELECT marked_id(), 'Qx7Foreign Ltd', u.id, 'enterprise' FROM tenancy.users u WHERE u.name ~ 'Qx7Foreign';
INSERT INTO tenancy.projects (id, organization_id, name, is_private)
	SELECT marked_id(), o.id, 'Qx7Foreign ' || o.name, o.name = 'East'
	FROM tenancy.organizations o WHERE o.name IN ('East', 'Qx7Foreign Ltd');
INSERT INTO tenancy.invites (id, organization_id, email, invited_by, digest, expires_at)
	SELECT marked_id(), o.id, 'qx7foreign-invited@example.com', o.owner_id, sha256('Qx7Foreign'), 'infinity'
	FROM tenancy.organizations o WHERE o.name ~ 'Qx7Foreign';
SELECT tenancy.create_session(u.id) FROM tenancy.users u WHERE u.name ~ 'Qx7Foreign' \g /dev/null

-- An application's tables: of projects, of organizations, partitioned, a child.
CREATE TABLE orders (
	project_id uuid NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(),
	number bigint NOT NULL, amount numeric NOT NULL, ratio double precision, day date, at timestamptz,
	note text NOT NULL, label varchar(40), detail jsonb, tags text[], code bytea, open boolean,
	PRIMARY KEY (project_id, id));
CREATE TABLE items (
	project_id uuid NOT NULL, order_id uuid NOT NULL, position integer NOT NULL, number bigint, note text,
	PRIMARY KEY (project_id, order_id, position),
	FOREIGN KEY (project_id, order_id) REFERENCES orders (project_id, id) ON DELETE CASCADE);
CREATE TABLE contacts (
	organization_id uuid NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), number bigint, note text NOT NULL,
	PRIMARY KEY (organization_id, id));
CREATE TABLE readings (
	project_id uuid NOT NULL, at timestamptz NOT NULL, number bigint, note text NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE readings_past PARTITION OF readings FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE readings_now PARTITION OF readings FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);
SELECT tenancy.protect('orders'), tenancy.protect('items'), tenancy.protect('readings'),
	tenancy.protect_by_organization('contacts') \g /dev/null
CREATE INDEX ON orders (note);
CREATE INDEX ON readings (at);
CREATE VIEW open_orders WITH (security_invoker) AS
	SELECT o.*, i.note AS item FROM orders o LEFT JOIN items i ON i.project_id = o.project_id AND i.order_id = o.id WHERE o.open;

INSERT INTO orders
SELECT p.id, CASE WHEN mine THEN gen_random_uuid() ELSE marked_id() END,
	n.number + g, n.number + g + 0.5, n.number + g, n.day::date + g % 7, n.day::timestamptz + g * interval '1 s',
	n.mark || g, n.mark || g, jsonb_build_object(n.mark || g, n.number + g), ARRAY[n.mark || g, n.mark], convert_to(n.mark || g, 'UTF8'), g % 2 = 0
FROM tenancy.projects p
	JOIN tenancy.organizations o ON o.id = p.organization_id,
	LATERAL (SELECT o.name = 'East' AND NOT p.is_private) m (mine),
	LATERAL (SELECT CASE WHEN mine THEN 'Own5Row ' ELSE 'Qx7Foreign ' END,
			 CASE WHEN mine THEN 550055005500 ELSE 770077007700000 END,
			 CASE WHEN mine THEN '2026-03-01' ELSE '3777-07-01' END) n (mark, number, day),
	generate_series(1, 40) g;
INSERT INTO items SELECT o.project_id, o.id, g, o.number, o.note FROM orders o, generate_series(1, 3) g;
INSERT INTO readings SELECT o.project_id, o.at, o.number, o.note FROM orders o;
INSERT INTO contacts
SELECT o.id, CASE WHEN o.name = 'East' THEN gen_random_uuid() ELSE marked_id() END,
	CASE WHEN o.name = 'East' THEN 550055005500 ELSE 770077007700000 END + g,
	CASE WHEN o.name = 'East' THEN 'Own5Row ' ELSE 'Qx7Foreign ' END || g
FROM tenancy.organizations o, generate_series(1, 40) g;

-- Functions and operators that tell what they are shown.  They are not
-- leakproof: no row may come before them that its policy has not passed.
CREATE FUNCTION is_foreign(seen text) RETURNS boolean IMMUTABLE LANGUAGE sql AS
	$$ SELECT seen ~* 'qx7foreign|770077007700|f0e1d2c3-b4a5|3777-07' $$;
DO $$
DECLARE
	type text;
BEGIN
	FOREACH type IN ARRAY '{text,bigint,uuid,jsonb,numeric,date,timestamptz}'::text[] LOOP
		EXECUTE format('CREATE FUNCTION peek(seen %1$s) RETURNS %1$s COST 0.0001 LANGUAGE plpgsql AS
			''BEGIN IF public.is_foreign(seen::text) THEN RAISE EXCEPTION ''''peeked at Qx7Foreign''''; END IF; RETURN seen; END''', type);
		EXECUTE format('CREATE FUNCTION peek(seen %1$s, other %1$s) RETURNS boolean COST 0.0001 LANGUAGE plpgsql AS
			''BEGIN PERFORM public.peek(seen), public.peek(other); RETURN seen IS NOT NULL; END''', type);
		-- many, since sqlsmith draws from all that there are
		FOR n IN 1..12 LOOP
			EXECUTE format('CREATE OPERATOR public.@#%1$s (LEFTARG = %2$s, RIGHTARG = %2$s, FUNCTION = public.peek)',
						   repeat('#', n), type);
		END LOOP;
	END LOOP;
END
$$;

-- Nor may a foreign row be written.  AFTER, for a row that a policy has let through.
CREATE FUNCTION watch() RETURNS trigger SECURITY DEFINER SET search_path = public, pg_temp LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP <> 'INSERT' AND is_foreign(OLD::text) OR TG_OP <> 'DELETE' AND is_foreign(NEW::text) THEN
		RAISE EXCEPTION 'wrote Qx7Foreign';
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER watch AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION watch();
CREATE TRIGGER watch AFTER INSERT OR UPDATE OR DELETE ON items FOR EACH ROW EXECUTE FUNCTION watch();
CREATE TRIGGER watch AFTER INSERT OR UPDATE OR DELETE ON contacts FOR EACH ROW EXECUTE FUNCTION watch();
CREATE TRIGGER watch AFTER INSERT OR UPDATE OR DELETE ON readings FOR EACH ROW EXECUTE FUNCTION watch();

CREATE ROLE smith LOGIN;
GRANT SELECT, INSERT, UPDATE, DELETE ON flights, orders, items, contacts, readings, readings_past, readings_now TO smith;
GRANT SELECT ON open_orders TO smith;
REVOKE EXECUTE ON FUNCTION marked_id(), is_foreign(text), watch() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_foreign(text) TO smith;
VACUUM ANALYZE;
