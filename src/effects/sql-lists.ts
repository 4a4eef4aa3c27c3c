/**
 * @module
 * The closed lists: functions, operators and types of PostgreSQL that are known to be harmless. They were drawn from
 * `pg_proc` of PostgreSQL 18 (`immutable` and `stable`, plus volatile ones read one by one), without those that run SQL
 * text, read files, look at other sessions' statements, convert by a type that is named in a text, or exist for
 * PostgreSQL's own use. What is not here is not harmless; see `sql-functions.ts`.
 */

const toWords = (...lists: readonly string[]): ReadonlySet<string> => new Set(lists.join(' ').trim().split(/\s+/))

/** Text, numbers, geometry, networks, conversions. */
const GENERAL = `
  abbrev abs acos acosd acosh area ascii asin asind asinh atan atan2 atan2d atand atanh bit bit_count bit_length
  bool bound_box box bpchar bpchar_larger bpchar_smaller broadcast btrim bytea bytea_larger bytea_smaller casefold
  cash_words cashlarger cashsmaller cbrt ceil ceiling center char_length character_length chr cidr circle concat
  concat_ws convert convert_from convert_to cos cosd cosh cot cotd crc32 crc32c date_larger date_smaller decode
  degrees dexp diagonal diameter div dlog1 dlog10 dround dtrunc encode enum_first enum_larger enum_last
  enum_smaller erf erfc exp factorial family float4 float4larger float4smaller float8 float8larger float8smaller
  floor format gamma gcd gen_random_uuid get_bit get_byte height host hostmask initcap int2 int2larger int2smaller
  int4 int4inc int4larger int4smaller int8 int8_avg int8dec int8inc int8larger int8smaller interval_larger
  interval_smaller is_normalized isclosed ishorizontal isopen isparallel isperp isvertical lcm left length lgamma
  like like_escape line ln log log10 lower lpad lseg ltrim macaddr macaddr8 macaddr8_set7bit masklen md5 min_scale
  mod money name nameconcatoid netmask network network_larger network_smaller normalize notlike npoints
  num_nonnulls num_nulls numeric numeric_div_trunc numeric_exp numeric_inc numeric_larger numeric_ln numeric_log
  numeric_smaller numeric_sqrt octet_length oid oidlarger oidsmaller oidvectortypes overlay parse_ident path pi
  point polygon position pow power quote_ident quote_literal quote_nullable radians radius random random_normal
  record_larger record_smaller regclass regexp_count regexp_instr regexp_like regexp_match regexp_matches
  regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr repeat replace reverse right round rpad
  rtrim scale set_bit set_byte set_masklen sha224 sha256 sha384 sha512 sign similar_escape similar_to_escape sin
  sind sinh slope split_part sqrt string_to_array string_to_table strpos substr substring tan tand tanh text
  text_larger text_smaller textlen tidlarger tidsmaller time_larger time_smaller timestamp_larger
  timestamp_smaller timestamptz_larger timestamptz_smaller timetz_larger timetz_smaller to_ascii to_bin to_char
  to_hex to_number to_oct translate trim_scale trunc unicode_assigned unistr upper uuid_extract_timestamp
  uuid_extract_version uuidv4 uuidv7 varbit varchar width width_bucket`

/** Aggregates and window functions. */
const AGGREGATES = `
  any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp cume_dist
  dense_rank every first_value json_agg json_agg_strict json_object_agg json_object_agg_strict
  json_object_agg_unique json_object_agg_unique_strict jsonb_agg jsonb_agg_strict jsonb_object_agg
  jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict lag last_value lead max min mode
  nth_value ntile percent_rank percentile_cont percentile_disc range_agg range_intersect_agg rank regr_avgx
  regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy row_number stddev stddev_pop
  stddev_samp string_agg sum var_pop var_samp variance xmlagg`

/** Dates and times. */
const TIMES = `
  age clock_timestamp date date_add date_bin date_part date_subtract date_trunc extract interval isfinite
  justify_days justify_hours justify_interval make_date make_interval make_time make_timestamp make_timestamptz
  now overlaps statement_timestamp time timeofday timestamp timestamptz timetz timezone to_date to_timestamp
  transaction_timestamp`

/** JSON. */
const JSON_VALUES = `
  array_to_json json_array_elements json_array_elements_text json_array_length json_build_array json_build_object
  json_each json_each_text json_extract_path json_extract_path_text json_object json_object_keys
  json_populate_record json_populate_recordset json_strip_nulls json_to_record json_to_recordset json_to_tsvector
  json_typeof jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array
  jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_insert
  jsonb_object jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz
  jsonb_path_query jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first
  jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record jsonb_populate_record_valid
  jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record
  jsonb_to_recordset jsonb_to_tsvector jsonb_typeof row_to_json to_json to_jsonb`

/** Arrays, ranges and generated rows. */
const COLLECTIONS = `
  array_append array_dims array_fill array_larger array_length array_lower array_ndims array_position
  array_positions array_prepend array_remove array_replace array_reverse array_sample array_shuffle array_smaller
  array_sort array_to_string array_to_tsvector array_upper cardinality datemultirange daterange enum_range
  generate_series generate_subscripts hash_multirange hash_multirange_extended hash_range hash_range_extended
  int4multirange int4range int8multirange int8range isempty lower_inc lower_inf multirange nummultirange numrange
  range_merge trim_array tsmultirange tsrange tstzmultirange tstzrange unnest upper_inc upper_inf`

/** XML values; those that run SQL are not among them. */
const XML_VALUES = `
  xid xid8_larger xid8_smaller xml xml_is_well_formed xml_is_well_formed_content xml_is_well_formed_document
  xmlcomment xmlexists xmltext xmlvalidate xpath xpath_exists`

/** Text search. */
const TEXT_SEARCH = `
  get_current_ts_config numnode phraseto_tsquery plainto_tsquery querytree setweight strip to_tsquery to_tsvector
  ts_debug ts_delete ts_filter ts_headline ts_lexize ts_parse ts_rank ts_rank_cd ts_token_type tsquery_phrase
  tsvector_to_array websearch_to_tsquery`

/** What only looks at the catalog and the session. */
const CATALOG = `
  aclcontains acldefault aclexplode col_description current_database current_query current_schema current_schemas
  current_setting current_user currval format_type getdatabaseencoding getpgusername has_any_column_privilege
  has_column_privilege has_database_privilege has_foreign_data_wrapper_privilege has_function_privilege
  has_language_privilege has_largeobject_privilege has_parameter_privilege has_schema_privilege
  has_sequence_privilege has_server_privilege has_table_privilege has_tablespace_privilege has_type_privilege
  icu_unicode_version inet_client_addr inet_client_port inet_merge inet_same_family inet_server_addr
  inet_server_port lastval makeaclitem mxid_age obj_description pg_available_extension_versions
  pg_available_extensions pg_backend_pid pg_basetype pg_blocking_pids pg_char_to_encoding pg_client_encoding
  pg_collation_actual_version pg_collation_for pg_collation_is_visible pg_column_compression
  pg_column_is_updatable pg_column_size pg_column_toast_chunk_id pg_conf_load_time pg_conversion_is_visible
  pg_current_snapshot pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn pg_current_xact_id
  pg_current_xact_id_if_assigned pg_database_collation_actual_version pg_database_size pg_describe_object
  pg_encoding_max_length pg_encoding_to_char pg_filenode_relation pg_function_is_visible pg_get_acl
  pg_get_catalog_foreign_keys pg_get_constraintdef pg_get_expr pg_get_function_arg_default
  pg_get_function_arguments pg_get_function_identity_arguments pg_get_function_result pg_get_function_sqlbody
  pg_get_functiondef pg_get_indexdef pg_get_keywords pg_get_object_address pg_get_partition_constraintdef
  pg_get_partkeydef pg_get_replica_identity_index pg_get_ruledef pg_get_serial_sequence pg_get_statisticsobjdef
  pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions pg_get_triggerdef pg_get_userbyid
  pg_get_viewdef pg_has_role pg_identify_object pg_identify_object_as_address pg_index_column_has_property
  pg_index_has_property pg_indexam_has_property pg_indexam_progress_phasename pg_indexes_size pg_is_in_recovery
  pg_is_other_temp_schema pg_jit_available pg_last_committed_xact pg_last_wal_receive_lsn pg_last_wal_replay_lsn
  pg_last_xact_replay_timestamp pg_listening_channels pg_lock_status pg_lsn pg_lsn_larger pg_lsn_smaller
  pg_mcv_list_items pg_my_temp_schema pg_notification_queue_usage pg_opclass_is_visible pg_operator_is_visible
  pg_opfamily_is_visible pg_options_to_table pg_partition_ancestors pg_partition_root pg_partition_tree
  pg_postmaster_start_time pg_relation_filenode pg_relation_is_publishable pg_relation_is_updatable
  pg_relation_size pg_safe_snapshot_blocking_pids pg_sequence_last_value pg_sequence_parameters
  pg_settings_get_flags pg_size_bytes pg_size_pretty pg_snapshot_xip pg_snapshot_xmax pg_snapshot_xmin
  pg_statistics_obj_is_visible pg_table_is_visible pg_table_size pg_tablespace_databases pg_tablespace_size
  pg_timezone_names pg_total_relation_size pg_trigger_depth pg_ts_config_is_visible pg_ts_dict_is_visible
  pg_ts_parser_is_visible pg_ts_template_is_visible pg_type_is_visible pg_typeof pg_visible_in_snapshot
  pg_wal_lsn_diff pg_xact_commit_timestamp pg_xact_status row_security_active session_user shobj_description
  system_user to_regclass to_regcollation to_regnamespace to_regoper to_regoperator to_regproc to_regprocedure
  to_regrole to_regtype to_regtypemod txid_current txid_current_if_assigned txid_current_snapshot
  txid_snapshot_xip txid_snapshot_xmax txid_snapshot_xmin txid_status txid_visible_in_snapshot unicode_version
  version`

/** Hashes of values. */
const HASHES = `
  hash_aclitem hash_aclitem_extended hash_array hash_array_extended hash_numeric hash_numeric_extended hash_record
  hash_record_extended hashbool hashboolextended hashbpchar hashbpcharextended hashbytea hashbyteaextended
  hashchar hashcharextended hashcid hashcidextended hashdate hashdateextended hashenum hashenumextended hashfloat4
  hashfloat4extended hashfloat8 hashfloat8extended hashinet hashinetextended hashint2 hashint2extended hashint4
  hashint4extended hashint8 hashint8extended hashmacaddr hashmacaddr8 hashmacaddr8extended hashmacaddrextended
  hashname hashnameextended hashoid hashoidextended hashoidvector hashoidvectorextended hashtext hashtextextended
  hashtid hashtidextended hashxid hashxid8 hashxid8extended hashxidextended`

/** Functions of `pg_catalog` that only compute a value or read, whatever their arguments are. */
export const HARMLESS_FUNCTIONS: ReadonlySet<string> = toWords(
  GENERAL,
  AGGREGATES,
  TIMES,
  JSON_VALUES,
  COLLECTIONS,
  XML_VALUES,
  TEXT_SEARCH,
  CATALOG,
  HASHES,
)

/** Operators of `pg_catalog`. */
export const HARMLESS_OPERATORS: ReadonlySet<string> = toWords(String.raw`
  !! !~ !~* !~~ !~~* # ## #- #> #>> % & && &< &<| &> * *< *<= *<> *= *> *>= + - -> ->> -|- / < <-> << <<= <<| <=
  <> <@ <^ = > >= >> >>= >^ ? ?# ?& ?- ?-| ?| ?|| @ @-@ @> @? @@ @@@ ^ ^@ | |&> |/ |>> || ||/ ~ ~* ~<=~ ~<~ ~=
  ~>=~ ~>~ ~~ ~~*
`)

/** Types of `pg_catalog`, whose input and conversion run no code of a user. `serial` and its kin stand for integers. */
export const BUILT_IN_TYPES: ReadonlySet<string> = toWords(`
  aclitem anyarray anycompatible anycompatiblearray anycompatiblemultirange anycompatiblenonarray
  anycompatiblerange anyelement anyenum anymultirange anynonarray anyrange bit bool box bpchar bytea char cid cidr
  circle date datemultirange daterange float4 float8 inet int2 int2vector int4 int4multirange int4range int8
  int8multirange int8range interval json jsonb jsonpath line lseg macaddr macaddr8 money name numeric
  nummultirange numrange oid oidvector path pg_lsn pg_snapshot point polygon record refcursor regclass
  regcollation regconfig regdictionary regnamespace regoper regoperator regproc regprocedure regrole regtype text
  tid time timestamp timestamptz timetz tsmultirange tsquery tsrange tstzmultirange tstzrange tsvector
  txid_snapshot unknown uuid varbit varchar void xid xid8 xml bigserial serial serial2 serial4 serial8 smallserial
`)

/** Aggregates whose one row does not grow with the rows behind it. */
export const SUMMARIES: ReadonlySet<string> = toWords(`
  avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every max min percentile_cont
  percentile_disc regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev
  stddev_pop stddev_samp sum var_pop var_samp variance
`)

/** The names of columns that functions of `pg_catalog` return, as far as queries take them out with field notation. */
export const RESULT_COLUMNS: ReadonlySet<string> = toWords(`
  abort_time alias dict_name dictionaries dictionary element key lexeme lexemes n option_name option_value ordinality
  positions token tokid type value weights word xmin xmax
`)

/** Relations of `pg_catalog` that show secrets, or samples of everybody's rows. */
export const SECRET_RELATIONS: ReadonlySet<string> = toWords(`
  pg_authid pg_shadow pg_user_mapping pg_user_mappings pg_subscription pg_foreign_server pg_largeobject pg_statistic
  pg_statistic_ext_data pg_hba_file_rules pg_ident_file_mappings pg_file_settings pg_stat_wal_receiver
  pg_replication_origin_status _pg_user_mappings user_mapping_options
`)
