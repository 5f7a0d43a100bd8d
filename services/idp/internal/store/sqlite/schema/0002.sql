-- Devices of before attestation: nothing was proven of the keys of those that have any.
UPDATE devices SET record = json_set(record, '$.KeyProtection', 'software')
WHERE coalesce(json_extract(record, '$.Pending'), 0) = 0 AND coalesce(json_extract(record, '$.KeyProtection'), '') = '';
