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

/** What operators, comparisons, aggregates and binary output are made of. */
const PARTS = `
  aclitemeq anyarray_send anycompatiblearray_send anytextcat array_cat array_eq array_ge array_gt array_le
  array_lt array_ne array_send arraycontained arraycontains arrayoverlap bit_send bitand bitcat bitcmp biteq bitge
  bitgt bitle bitlt bitne bitnot bitor bitshiftleft bitshiftright bitxor booland_statefunc booleq boolge boolgt
  boolle boollt boolne boolor_statefunc boolsend box_above box_above_eq box_add box_below box_below_eq box_center
  box_contain box_contain_pt box_contained box_distance box_div box_eq box_ge box_gt box_intersect box_le box_left
  box_lt box_mul box_overabove box_overbelow box_overlap box_overleft box_overright box_right box_same box_send
  box_sub bpchar_pattern_ge bpchar_pattern_gt bpchar_pattern_le bpchar_pattern_lt bpcharcmp bpchareq bpcharge
  bpchargt bpchariclike bpcharicnlike bpcharicregexeq bpcharicregexne bpcharle bpcharlike bpcharlt bpcharne
  bpcharnlike bpcharregexeq bpcharregexne bpcharsend brin_bloom_summary_send brin_minmax_multi_summary_send
  btarraycmp btboolcmp btbpchar_pattern_cmp btcharcmp btfloat48cmp btfloat4cmp btfloat84cmp btfloat8cmp btint24cmp
  btint28cmp btint2cmp btint42cmp btint48cmp btint4cmp btint82cmp btint84cmp btint8cmp btnamecmp btnametextcmp
  btoidcmp btoidvectorcmp btrecordcmp btrecordimagecmp bttext_pattern_cmp bttextcmp bttextnamecmp bttidcmp
  byteacat byteacmp byteaeq byteage byteagt byteale bytealike bytealt byteane byteanlike byteasend cash_cmp
  cash_div_cash cash_div_flt4 cash_div_flt8 cash_div_int2 cash_div_int4 cash_div_int8 cash_eq cash_ge cash_gt
  cash_le cash_lt cash_mi cash_mul_flt4 cash_mul_flt8 cash_mul_int2 cash_mul_int4 cash_mul_int8 cash_ne cash_pl
  cash_send chareq charge chargt charle charlt charne charsend cideq cidr_send cidsend circle_above circle_add_pt
  circle_below circle_center circle_contain circle_contain_pt circle_contained circle_distance circle_div_pt
  circle_eq circle_ge circle_gt circle_le circle_left circle_lt circle_mul_pt circle_ne circle_overabove
  circle_overbelow circle_overlap circle_overleft circle_overright circle_right circle_same circle_send
  circle_sub_pt close_ls close_lseg close_pb close_pl close_ps close_sb date_cmp date_cmp_timestamp
  date_cmp_timestamptz date_eq date_eq_timestamp date_eq_timestamptz date_ge date_ge_timestamp date_ge_timestamptz
  date_gt date_gt_timestamp date_gt_timestamptz date_le date_le_timestamp date_le_timestamptz date_lt
  date_lt_timestamp date_lt_timestamptz date_mi date_mi_interval date_mii date_ne date_ne_timestamp
  date_ne_timestamptz date_pl_interval date_pli date_send daterange_canonical datetime_pl datetimetz_pl dcbrt
  dist_bp dist_bs dist_cpoint dist_cpoly dist_lp dist_ls dist_pathp dist_pb dist_pc dist_pl dist_polyc dist_polyp
  dist_ppath dist_ppoly dist_ps dist_sb dist_sl dist_sp dpow dsqrt elem_contained_by_multirange
  elem_contained_by_range enum_cmp enum_eq enum_ge enum_gt enum_le enum_lt enum_ne enum_send float48div float48eq
  float48ge float48gt float48le float48lt float48mi float48mul float48ne float48pl float4_accum float4abs
  float4div float4eq float4ge float4gt float4le float4lt float4mi float4mul float4ne float4pl float4send float4um
  float4up float84div float84eq float84ge float84gt float84le float84lt float84mi float84mul float84ne float84pl
  float8_accum float8_avg float8_combine float8_corr float8_covar_pop float8_covar_samp float8_regr_accum
  float8_regr_avgx float8_regr_avgy float8_regr_combine float8_regr_intercept float8_regr_r2 float8_regr_slope
  float8_regr_sxx float8_regr_sxy float8_regr_syy float8_stddev_pop float8_stddev_samp float8_var_pop
  float8_var_samp float8abs float8div float8eq float8ge float8gt float8le float8lt float8mi float8mul float8ne
  float8pl float8send float8um float8up flt4_mul_cash flt8_mul_cash inet_send inetand inetmi inetmi_int8 inetnot
  inetor inetpl int24div int24eq int24ge int24gt int24le int24lt int24mi int24mul int24ne int24pl int28div int28eq
  int28ge int28gt int28le int28lt int28mi int28mul int28ne int28pl int2_avg_accum int2_avg_accum_inv int2_mul_cash
  int2_sum int2abs int2and int2div int2eq int2ge int2gt int2int4_sum int2le int2lt int2mi int2mod int2mul int2ne
  int2not int2or int2pl int2send int2shl int2shr int2um int2up int2vectorsend int2xor int42div int42eq int42ge
  int42gt int42le int42lt int42mi int42mul int42ne int42pl int48div int48eq int48ge int48gt int48le int48lt
  int48mi int48mul int48ne int48pl int4_avg_accum int4_avg_accum_inv int4_avg_combine int4_mul_cash int4_sum
  int4abs int4and int4div int4eq int4ge int4gt int4le int4lt int4mi int4mod int4mul int4ne int4not int4or int4pl
  int4range_canonical int4send int4shl int4shr int4um int4up int4xor int82div int82eq int82ge int82gt int82le
  int82lt int82mi int82mul int82ne int82pl int84div int84eq int84ge int84gt int84le int84lt int84mi int84mul
  int84ne int84pl int8_mul_cash int8_sum int8abs int8and int8div int8eq int8ge int8gt int8inc_float8_float8 int8le
  int8lt int8mi int8mod int8mul int8ne int8not int8or int8pl int8pl_inet int8range_canonical int8send int8shl
  int8shr int8um int8up int8xor integer_pl_date inter_lb inter_sb inter_sl interval_cmp interval_div interval_eq
  interval_ge interval_gt interval_hash interval_hash_extended interval_le interval_lt interval_mi interval_mul
  interval_ne interval_pl interval_pl_date interval_pl_time interval_pl_timestamp interval_pl_timestamptz
  interval_pl_timetz interval_send interval_um json_array_element json_array_element_text json_object_field
  json_object_field_text json_send jsonb_array_element jsonb_array_element_text jsonb_cmp jsonb_concat
  jsonb_contained jsonb_contains jsonb_delete jsonb_delete_path jsonb_eq jsonb_exists jsonb_exists_all
  jsonb_exists_any jsonb_ge jsonb_gt jsonb_hash jsonb_hash_extended jsonb_le jsonb_lt jsonb_ne jsonb_object_field
  jsonb_object_field_text jsonb_path_exists_opr jsonb_path_match_opr jsonb_send jsonpath_send line_distance
  line_eq line_horizontal line_interpt line_intersect line_parallel line_perp line_send line_vertical lseg_center
  lseg_distance lseg_eq lseg_ge lseg_gt lseg_horizontal lseg_interpt lseg_intersect lseg_le lseg_length lseg_lt
  lseg_ne lseg_parallel lseg_perp lseg_send lseg_vertical macaddr8_and macaddr8_cmp macaddr8_eq macaddr8_ge
  macaddr8_gt macaddr8_le macaddr8_lt macaddr8_ne macaddr8_not macaddr8_or macaddr8_send macaddr_and macaddr_cmp
  macaddr_eq macaddr_ge macaddr_gt macaddr_le macaddr_lt macaddr_ne macaddr_not macaddr_or macaddr_send
  mul_d_interval multirange_adjacent_multirange multirange_adjacent_range multirange_after_multirange
  multirange_after_range multirange_before_multirange multirange_before_range multirange_cmp
  multirange_contained_by_multirange multirange_contained_by_range multirange_contains_elem
  multirange_contains_multirange multirange_contains_range multirange_eq multirange_ge multirange_gt
  multirange_intersect multirange_le multirange_lt multirange_minus multirange_ne multirange_overlaps_multirange
  multirange_overlaps_range multirange_overleft_multirange multirange_overleft_range
  multirange_overright_multirange multirange_overright_range multirange_send multirange_union nameeq nameeqtext
  namege namegetext namegt namegttext nameiclike nameicnlike nameicregexeq nameicregexne namele nameletext
  namelike namelt namelttext namene namenetext namenlike nameregexeq nameregexne namesend network_cmp network_eq
  network_ge network_gt network_le network_lt network_ne network_overlap network_sub network_subeq network_sup
  network_supeq numeric_abs numeric_add numeric_cmp numeric_div numeric_eq numeric_ge numeric_gt numeric_le
  numeric_lt numeric_mod numeric_mul numeric_ne numeric_pl_pg_lsn numeric_power numeric_send numeric_sub
  numeric_uminus numeric_uplus oideq oidge oidgt oidle oidlt oidne oidsend oidvectoreq oidvectorge oidvectorgt
  oidvectorle oidvectorlt oidvectorne oidvectorsend on_pb on_pl on_ppath on_ps on_sb on_sl path_add path_add_pt
  path_contain_pt path_distance path_div_pt path_inter path_length path_mul_pt path_n_eq path_n_ge path_n_gt
  path_n_le path_n_lt path_npoints path_send path_sub_pt point_above point_add point_below point_distance
  point_div point_eq point_horiz point_left point_mul point_ne point_right point_send point_sub point_vert
  poly_above poly_below poly_center poly_contain poly_contain_pt poly_contained poly_distance poly_left
  poly_npoints poly_overabove poly_overbelow poly_overlap poly_overleft poly_overright poly_right poly_same
  poly_send pt_contained_circle pt_contained_poly range_adjacent range_adjacent_multirange range_after
  range_after_multirange range_before range_before_multirange range_cmp range_contained_by
  range_contained_by_multirange range_contains range_contains_elem range_contains_multirange range_eq range_ge
  range_gt range_intersect range_le range_lt range_minus range_ne range_overlaps range_overlaps_multirange
  range_overleft range_overleft_multirange range_overright range_overright_multirange range_send range_union
  record_eq record_ge record_gt record_image_eq record_image_ge record_image_gt record_image_le record_image_lt
  record_image_ne record_le record_lt record_ne record_send regclasssend regcollationsend regconfigsend
  regdictionarysend regnamespacesend regoperatorsend regopersend regproceduresend regprocsend regrolesend
  regtypesend starts_with text_ge text_gt text_le text_lt text_pattern_ge text_pattern_gt text_pattern_le
  text_pattern_lt textanycat textcat texteq texteqname textgename textgtname texticlike texticnlike texticregexeq
  texticregexne textlename textlike textltname textne textnename textnlike textregexeq textregexne textsend tideq
  tidge tidgt tidle tidlt tidne tidsend time_cmp time_eq time_ge time_gt time_hash time_hash_extended time_le
  time_lt time_mi_interval time_mi_time time_ne time_pl_interval time_send timedate_pl timestamp_cmp
  timestamp_cmp_date timestamp_cmp_timestamptz timestamp_eq timestamp_eq_date timestamp_eq_timestamptz
  timestamp_ge timestamp_ge_date timestamp_ge_timestamptz timestamp_gt timestamp_gt_date timestamp_gt_timestamptz
  timestamp_hash timestamp_hash_extended timestamp_le timestamp_le_date timestamp_le_timestamptz timestamp_lt
  timestamp_lt_date timestamp_lt_timestamptz timestamp_mi timestamp_mi_interval timestamp_ne timestamp_ne_date
  timestamp_ne_timestamptz timestamp_pl_interval timestamp_send timestamptz_cmp timestamptz_cmp_date
  timestamptz_cmp_timestamp timestamptz_eq timestamptz_eq_date timestamptz_eq_timestamp timestamptz_ge
  timestamptz_ge_date timestamptz_ge_timestamp timestamptz_gt timestamptz_gt_date timestamptz_gt_timestamp
  timestamptz_hash timestamptz_hash_extended timestamptz_le timestamptz_le_date timestamptz_le_timestamp
  timestamptz_lt timestamptz_lt_date timestamptz_lt_timestamp timestamptz_mi timestamptz_mi_interval
  timestamptz_ne timestamptz_ne_date timestamptz_ne_timestamp timestamptz_pl_interval timestamptz_send timetz_cmp
  timetz_eq timetz_ge timetz_gt timetz_hash timetz_hash_extended timetz_le timetz_lt timetz_mi_interval timetz_ne
  timetz_pl_interval timetz_send timetzdate_pl ts_match_qv ts_match_tq ts_match_tt ts_match_vq tsq_mcontained
  tsq_mcontains tsquery_and tsquery_cmp tsquery_eq tsquery_ge tsquery_gt tsquery_le tsquery_lt tsquery_ne
  tsquery_not tsquery_or tsquerysend tsvector_cmp tsvector_concat tsvector_eq tsvector_ge tsvector_gt tsvector_le
  tsvector_lt tsvector_ne tsvectorsend txid_snapshot_send unknownsend uuid_cmp uuid_eq uuid_ge uuid_gt uuid_hash
  uuid_hash_extended uuid_le uuid_lt uuid_ne uuid_send varbit_send varbitcmp varbiteq varbitge varbitgt varbitle
  varbitlt varbitne varcharsend void_send xid8cmp xid8eq xid8ge xid8gt xid8le xid8lt xid8ne xid8send xideq
  xideqint4 xidneq xidneqint4 xidsend xml_send xmlconcat2`

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
  PARTS,
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
  alias catcode dict_name dictionaries dictionary element grantee grantor is_grantable isleaf key level lexeme lexemes
  n option_name option_value ordinality parentrelid positions privilege_type relid token tokid type value weights word
`)

/** Relations of `pg_catalog` that show secrets, or samples of everybody's rows. */
export const SECRET_RELATIONS: ReadonlySet<string> = toWords(`
  pg_authid pg_shadow pg_user_mapping pg_user_mappings pg_subscription pg_largeobject pg_statistic
  pg_statistic_ext_data pg_hba_file_rules pg_ident_file_mappings pg_file_settings pg_stat_wal_receiver
  pg_replication_origin_status _pg_user_mappings user_mapping_options
`)
