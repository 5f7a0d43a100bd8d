-- The keys under which data-protection keys of devices rest, sealed; they go with
-- their user and with their device.
CREATE TABLE data_keys (
    tenant TEXT NOT NULL,
    user   TEXT NOT NULL,
    device TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (tenant, user, device)
) STRICT;
CREATE INDEX data_keys_by_device ON data_keys (device);
CREATE TRIGGER users_take_data_keys AFTER DELETE ON users
BEGIN DELETE FROM data_keys WHERE tenant = OLD.tenant AND user = OLD.id; END;
CREATE TRIGGER devices_take_data_keys AFTER DELETE ON devices
BEGIN DELETE FROM data_keys WHERE device = OLD.id; END;
