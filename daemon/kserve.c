/* SPDX-License-Identifier: MIT */
/* daemon/kserve: see kserve.h. Source: Open Inference Protocol v2, REST, and its
 * binary tensor data extension. */
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fusedinf/version.h>

#include "daemon/kserve.h"
#include "graph/member.h"

static const struct {
	enum finf_dtype dtype;
	const char *name;
} datatypes[] = {
	{FINF_F32, "FP32"}, {FINF_F64, "FP64"}, {FINF_U8, "UINT8"}, {FINF_I8, "INT8"},
	{FINF_I32, "INT32"}, {FINF_I64, "INT64"}, {FINF_BOOL, "BOOL"},
};

static const char *datatype_name(enum finf_dtype dtype)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(datatypes); i++)
		if (datatypes[i].dtype == dtype)
			return datatypes[i].name;
	return "UNKNOWN";
}

static enum finf_dtype datatype_of(const char *name)
{
	for (size_t i = 0; name && i < FINF_ARRAY_LEN(datatypes); i++)
		if (!strcmp(datatypes[i].name, name))
			return datatypes[i].dtype;
	return FINF_DTYPE_NONE;
}

/* ---- values that come as JSON ------------------------------------------------------ */

static bool integer(const json_t *value, int64_t min, int64_t max, int64_t *ret)
{
	if (!json_is_integer(value) || json_integer_value(value) < min ||
	    json_integer_value(value) > max)
		return false;
	*ret = json_integer_value(value);
	return true;
}

/* False: the value is not one of this type. */
static bool store(enum finf_dtype dtype, const json_t *value, uint8_t *to)
{
	double real = json_number_value(value);
	float single;
	int64_t whole;
	int32_t i32;

	switch (dtype) {
	case FINF_F32:
		if (!json_is_number(value) || fabs(real) > FLT_MAX)
			return false;
		single = (float)real;
		memcpy(to, &single, sizeof(single));
		return true;
	case FINF_F64:
		memcpy(to, &real, sizeof(real));
		return json_is_number(value);
	case FINF_BOOL:
		if (json_is_boolean(value)) {
			*to = json_is_true(value);
			return true;
		}
		if (!integer(value, 0, 1, &whole))
			return false;
		*to = (uint8_t)whole;
		return true;
	case FINF_U8:
		if (!integer(value, 0, UINT8_MAX, &whole))
			return false;
		*to = (uint8_t)whole;
		return true;
	case FINF_I8:
		if (!integer(value, INT8_MIN, INT8_MAX, &whole))
			return false;
		*to = (uint8_t)whole;
		return true;
	case FINF_I32:
		if (!integer(value, INT32_MIN, INT32_MAX, &whole))
			return false;
		i32 = (int32_t)whole;
		memcpy(to, &i32, sizeof(i32));
		return true;
	case FINF_I64:
		if (!integer(value, INT64_MIN, INT64_MAX, &whole))
			return false;
		memcpy(to, &whole, sizeof(whole));
		return true;
	default:
		return false;
	}
}

/* Reading one tensor's "data": flat, or nested as its shape says. */
struct filling {
	const struct finf_tensor *tensor;
	uint8_t *to;
	size_t at, count;
	struct finf_diag *diag;
};

static int fill_flat(struct filling *fill, const json_t *array)
{
	enum finf_dtype dtype = fill->tensor->dtype;
	size_t i, each = finf_dtype_bytes(dtype);
	const json_t *value;

	json_array_foreach((json_t *)(uintptr_t)array, i, value) {
		if (fill->at == fill->count)
			break; /* refused below: more data than the shape holds */
		if (!store(dtype, value, fill->to + fill->at * each))
			return finf_diag_set(fill->diag, -EINVAL, "input '%.100s': value %zu is no %s",
					     fill->tensor->name, fill->at, datatype_name(dtype));
		fill->at++;
	}
	if (i < json_array_size(array))
		return finf_diag_set(fill->diag, -EINVAL,
				     "input '%.100s': more data than the %zu values of its shape",
				     fill->tensor->name, fill->count);
	return 0;
}

/* The rank bounds the depth. */
static int fill_nested(struct filling *fill, const json_t *array, uint32_t depth)
{
	const struct finf_shape *shape = &fill->tensor->shape;
	const json_t *inner;
	size_t i;
	int err;

	if (depth >= shape->rank || (int64_t)json_array_size(array) != shape->dim[depth])
		return finf_diag_set(fill->diag, -EINVAL,
				     "input '%.100s': nested data that does not have its shape",
				     fill->tensor->name);
	if (!json_is_array(json_array_get(array, 0)))
		return fill_flat(fill, array);
	json_array_foreach((json_t *)(uintptr_t)array, i, inner) {
		err = json_is_array(inner) ? fill_nested(fill, inner, depth + 1) : -EINVAL;
		if (err)
			return fill->diag->text[0] ? err
						   : finf_diag_set(fill->diag, err,
								   "input '%.100s': values and arrays mixed",
								   fill->tensor->name);
	}
	return 0;
}

/* A value takes two bytes of JSON or more, so the body bounds what is allocated. */
static int read_values(const json_t *data, size_t json_bytes, struct finf_tensor *tensor,
		       void **ret_values, struct finf_diag *diag)
{
	struct filling fill = {.tensor = tensor, .diag = diag};
	int err;

	if (!json_is_array(data))
		return finf_diag_set(diag, -EINVAL, "input '%.100s': \"data\" must be an array",
				     tensor->name);
	if (finf_shape_count(&tensor->shape, &fill.count) || fill.count > json_bytes)
		return finf_diag_set(diag, -EINVAL, "input '%.100s': less data than its shape holds",
				     tensor->name);
	fill.to = malloc(FINF_MAX(tensor->bytes, (size_t)1));
	if (!fill.to)
		return -ENOMEM;
	*ret_values = tensor->data = fill.to;
	if (json_is_array(json_array_get(data, 0)))
		err = fill_nested(&fill, data, 0);
	else
		err = fill_flat(&fill, data);
	if (!err && fill.at < fill.count)
		err = finf_diag_set(diag, -EINVAL, "input '%.100s': %zu values given, its shape holds %zu",
				    tensor->name, fill.at, fill.count);
	return err;
}

/* ---- the request ------------------------------------------------------------------------ */

struct body {
	const uint8_t *data;
	size_t json_bytes, bytes;
	size_t at; /* of the next binary tensor */
};

static const char *name_of(const json_t *doc)
{
	return json_string_value(json_object_get(doc, "name"));
}

static const json_t *parameter(const json_t *doc, const char *name)
{
	return json_object_get(json_object_get(doc, "parameters"), name);
}

static int parse_shape(const json_t *doc, struct finf_tensor *tensor, struct finf_diag *diag)
{
	const json_t *shape = json_object_get(doc, "shape");
	size_t n = json_array_size(shape);

	if (!json_is_array(shape) || n > FINF_RANK_MAX)
		return finf_diag_set(diag, -EINVAL,
				     "input '%.100s': \"shape\" must be an array of at most %d sizes",
				     tensor->name, FINF_RANK_MAX);
	for (size_t i = 0; i < n; i++)
		if (!integer(json_array_get(shape, i), 0, INT64_MAX, &tensor->shape.dim[i]))
			return finf_diag_set(diag, -EINVAL,
					     "input '%.100s': a size of \"shape\" is no whole number",
					     tensor->name);
	tensor->shape.rank = (uint32_t)n;
	if (finf_tensor_bytes(tensor->dtype, &tensor->shape, &tensor->bytes))
		return finf_diag_set(diag, -EINVAL, "input '%.100s': its shape is too large",
				     tensor->name);
	return 0;
}

static int parse_binary(const json_t *size, struct body *body, struct finf_tensor *tensor,
			struct finf_diag *diag)
{
	int64_t bytes;

	if (!integer(size, 0, INT64_MAX, &bytes) || (uint64_t)bytes > body->bytes - body->at)
		return finf_diag_set(diag, -EINVAL,
				     "input '%.100s': binary_data_size is more than the %zu bytes left",
				     tensor->name, body->bytes - body->at);
	if ((size_t)bytes != tensor->bytes)
		return finf_diag_set(diag, -EINVAL,
				     "input '%.100s': binary_data_size is %" PRId64
				     ", its shape and datatype have %zu bytes",
				     tensor->name, bytes, tensor->bytes);
	tensor->data = (void *)(uintptr_t)(body->data + body->at);
	body->at += tensor->bytes;
	return 0;
}

static int parse_input(struct fid_infer *infer, const json_t *doc, struct body *body,
		       struct finf_diag *diag)
{
	struct fid_request *request = &infer->request;
	struct finf_tensor *tensor = &request->inputs[request->n_inputs];
	const char *datatype = json_string_value(json_object_get(doc, "datatype"));
	const json_t *size = parameter(doc, "binary_data_size");
	int err;

	*tensor = (struct finf_tensor){.name = name_of(doc), .dtype = datatype_of(datatype)};
	if (!tensor->name)
		return finf_diag_set(diag, -EINVAL, "input number %" PRIu32 " has no \"name\"",
				     request->n_inputs);
	if (!tensor->dtype)
		return finf_diag_set(diag, -EINVAL, "input '%.100s': datatype \"%.32s\" is not served",
				     tensor->name, datatype ? datatype : "");
	err = parse_shape(doc, tensor, diag);
	if (err)
		return err;
	if (size && json_object_get(doc, "data"))
		return finf_diag_set(diag, -EINVAL, "input '%.100s': both binary and JSON data",
				     tensor->name);
	err = size ? parse_binary(size, body, tensor, diag)
		   : read_values(json_object_get(doc, "data"), body->json_bytes, tensor,
				 &infer->values[request->n_inputs], diag);
	request->n_inputs += !err;
	return err;
}

static int parse_inputs(struct fid_infer *infer, struct body *body, struct finf_diag *diag)
{
	const json_t *inputs = json_object_get(infer->doc, "inputs");
	int err = 0;

	if (!json_is_array(inputs) || json_array_size(inputs) > FID_TENSORS_MAX)
		return finf_diag_set(diag, -EINVAL, "\"inputs\" must be an array of at most %d tensors",
				     FID_TENSORS_MAX);
	for (size_t i = 0; i < json_array_size(inputs) && !err; i++)
		err = parse_input(infer, json_array_get(inputs, i), body, diag);
	if (!err && body->at != body->bytes)
		err = finf_diag_set(diag, -EINVAL, "%zu bytes follow the last binary tensor",
				    body->bytes - body->at);
	return err;
}

static int parse_outputs(struct fid_infer *infer, struct finf_diag *diag)
{
	const json_t *outputs = json_object_get(infer->doc, "outputs");
	bool binary = json_is_true(parameter(infer->doc, "binary_data_output"));
	struct fid_request *request = &infer->request;

	for (size_t i = 0; i < FID_TENSORS_MAX; i++)
		infer->binary[i] = binary;
	if (!outputs)
		return 0;
	if (!json_is_array(outputs) || json_array_size(outputs) > FID_TENSORS_MAX)
		return finf_diag_set(diag, -EINVAL, "\"outputs\" must be an array of at most %d tensors",
				     FID_TENSORS_MAX);
	for (size_t i = 0; i < json_array_size(outputs); i++) {
		const json_t *doc = json_array_get(outputs, i), *as = parameter(doc, "binary_data");

		request->outputs[i] = (struct finf_tensor){.name = name_of(doc)};
		if (!request->outputs[i].name)
			return finf_diag_set(diag, -EINVAL, "output number %zu has no \"name\"", i);
		if (as)
			infer->binary[i] = json_is_true(as);
	}
	request->n_outputs = (uint32_t)json_array_size(outputs);
	return 0;
}

/* "timeout" in microseconds, as other servers of this protocol take it. */
static int parse_options(struct fid_infer *infer, struct finf_diag *diag)
{
	const json_t *timeout = parameter(infer->doc, "timeout");
	int64_t us;

	infer->id = json_object_get(infer->doc, "id");
	if (infer->id && !json_is_string(infer->id))
		return finf_diag_set(diag, -EINVAL, "\"id\" must be a string");
	if (!timeout)
		return 0;
	if (!integer(timeout, 0, INT64_MAX / 2000, &us))
		return finf_diag_set(diag, -EINVAL, "parameter \"timeout\" must be microseconds");
	if (us)
		infer->request.deadline_ns = finf_now_ns() + (uint64_t)us * 1000;
	return 0;
}

int fid_kserve_parse(struct fid_infer *infer, const void *data, size_t bytes, size_t json_bytes,
		     struct finf_diag *diag)
{
	struct body body = {.data = data, .bytes = bytes};
	json_error_t error;
	int err;

	if (json_bytes != SIZE_MAX && json_bytes > bytes)
		return finf_diag_set(diag, -EINVAL,
				     "Inference-Header-Content-Length is %zu, the body has %zu bytes",
				     json_bytes, bytes);
	body.json_bytes = body.at = FINF_MIN(json_bytes, bytes);
	if (body.json_bytes > FID_KSERVE_JSON_MAX)
		return finf_diag_set(diag, -EFBIG,
				     "%zu bytes of JSON, at most %u are taken: send large tensors as "
				     "binary data",
				     body.json_bytes, FID_KSERVE_JSON_MAX);
	infer->request.allocate = true;
	infer->doc = json_loadb(data ? data : "", body.json_bytes, JSON_REJECT_DUPLICATES, &error);
	if (!infer->doc)
		return finf_diag_set(diag, -EINVAL, "not JSON: line %d column %d: %s", error.line,
				     error.column, error.text);
	if (!json_is_object(infer->doc))
		return finf_diag_set(diag, -EINVAL, "a JSON object is expected");
	err = parse_options(infer, diag);
	if (!err)
		err = parse_outputs(infer, diag);
	if (!err)
		err = parse_inputs(infer, &body, diag);
	return err;
}

/* ---- the answer --------------------------------------------------------------------------- */

static void put_json(struct finf_buf *buf, const json_t *value)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

	if (text)
		finf_buf_put(buf, text, strlen(text));
	else
		buf->err = -ENOMEM;
	free(text);
}

static void put_text(struct finf_buf *buf, const char *text)
{
	json_t *value = json_string(text);

	if (value)
		put_json(buf, value);
	else
		buf->err = -EINVAL; /* not UTF-8: a name no client could ask for */
	json_decref(value);
}

/* JSON has no infinities and no NaN: they become null. */
static void put_real(struct finf_buf *buf, double value, int digits)
{
	if (isfinite(value))
		finf_buf_printf(buf, "%.*g", digits, value);
	else
		finf_buf_put(buf, "null", 4);
}

static void put_value(struct finf_buf *buf, enum finf_dtype dtype, const uint8_t *from)
{
	double real;
	float single;
	int64_t i64;
	int32_t i32;

	switch (dtype) {
	case FINF_F32:
		memcpy(&single, from, sizeof(single));
		put_real(buf, (double)single, FLT_DECIMAL_DIG);
		break;
	case FINF_F64:
		memcpy(&real, from, sizeof(real));
		put_real(buf, real, DBL_DECIMAL_DIG);
		break;
	case FINF_I64:
		memcpy(&i64, from, sizeof(i64));
		finf_buf_printf(buf, "%" PRId64, i64);
		break;
	case FINF_I32:
		memcpy(&i32, from, sizeof(i32));
		finf_buf_printf(buf, "%" PRId32, i32);
		break;
	case FINF_I8:
		finf_buf_printf(buf, "%d", (int8_t)*from);
		break;
	case FINF_BOOL:
		finf_buf_printf(buf, "%s", *from ? "true" : "false");
		break;
	default:
		finf_buf_printf(buf, "%u", *from);
		break;
	}
}

static void put_values(struct finf_buf *buf, const struct finf_tensor *tensor)
{
	size_t each = finf_dtype_bytes(tensor->dtype), n = each ? tensor->bytes / each : 0;

	for (size_t i = 0; i < n && !buf->err; i++) {
		if (i)
			finf_buf_u8(buf, ',');
		put_value(buf, tensor->dtype, (const uint8_t *)tensor->data + i * each);
	}
}

static void put_output(struct finf_buf *buf, const struct finf_tensor *tensor, bool binary)
{
	finf_buf_printf(buf, "{\"name\":");
	put_text(buf, tensor->name);
	finf_buf_printf(buf, ",\"datatype\":\"%s\",\"shape\":[", datatype_name(tensor->dtype));
	for (uint32_t d = 0; d < tensor->shape.rank; d++)
		finf_buf_printf(buf, "%s%" PRId64, d ? "," : "", tensor->shape.dim[d]);
	if (binary) {
		finf_buf_printf(buf, "],\"parameters\":{\"binary_data_size\":%zu}}", tensor->bytes);
		return;
	}
	finf_buf_printf(buf, "],\"data\":[");
	put_values(buf, tensor);
	finf_buf_printf(buf, "]}");
}

int fid_kserve_answer(const struct fid_infer *infer, const char *model, uint32_t version,
		      uint8_t **ret_body, size_t *ret_bytes, size_t *ret_json)
{
	const struct fid_request *request = &infer->request;
	bool any_binary = false;
	struct finf_buf buf;
	size_t json_bytes;

	finf_buf_init(&buf);
	finf_buf_printf(&buf, "{\"model_name\":");
	put_text(&buf, model);
	finf_buf_printf(&buf, ",\"model_version\":\"%" PRIu32 "\"", version);
	if (infer->id) {
		finf_buf_printf(&buf, ",\"id\":");
		put_json(&buf, infer->id);
	}
	finf_buf_printf(&buf, ",\"outputs\":[");
	for (uint32_t i = 0; i < request->n_wanted; i++) {
		if (i)
			finf_buf_u8(&buf, ',');
		put_output(&buf, &request->outputs[request->output_at[i]], infer->binary[i]);
		any_binary |= infer->binary[i];
	}
	finf_buf_printf(&buf, "]}");
	json_bytes = buf.len;
	for (uint32_t i = 0; i < request->n_wanted; i++) {
		const struct finf_tensor *tensor = &request->outputs[request->output_at[i]];

		if (infer->binary[i])
			finf_buf_put(&buf, tensor->data, tensor->bytes);
	}
	if (buf.err) {
		int err = buf.err;

		finf_buf_fini(&buf);
		return err;
	}
	*ret_body = buf.data;
	*ret_bytes = buf.len;
	*ret_json = any_binary ? json_bytes : 0;
	return 0;
}

void fid_infer_fini(struct fid_infer *infer)
{
	for (size_t i = 0; i < FID_TENSORS_MAX; i++) {
		free(infer->values[i]);
		free(infer->request.outputs[i].data);
	}
	json_decref(infer->doc);
}

/* ---- documents ------------------------------------------------------------------------------ */

json_t *fid_kserve_server(void)
{
	return json_pack("{s:s, s:s, s:[s]}", "name", "fusedinf", "version", FUSEDINF_VERSION,
			 "extensions", "binary_tensor_data");
}

static void add_port(json_t *list, const struct finf_value *value, const char *name)
{
	json_t *shape = json_array();

	for (uint32_t d = 0; d < value->shape.rank; d++)
		json_array_append_new(shape, json_integer(value->shape.dim[d]));
	json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "name", name, "datatype",
					      datatype_name(value->dtype), "shape", shape));
}

static json_t *ports(const struct finf_graph *graph, const uint32_t *values, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		add_port(list, &graph->values[values[i]], graph->values[values[i]].name);
	return list;
}

/* A member's, by the names it has for them. */
static json_t *member_ports(const struct finf_graph *graph, const uint32_t *values,
			    const struct finf_member_port *ports, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		add_port(list, &graph->values[values[ports[i].index]], ports[i].name);
	return list;
}

struct versions {
	const char *name;
	json_t *list;
};

static void add_version(void *ctx, const struct fid_model_info *info)
{
	struct versions *versions = ctx;
	char text[16];

	if (strcmp(info->name, versions->name))
		return;
	snprintf(text, sizeof(text), "%" PRIu32, info->version);
	json_array_append_new(versions->list, json_string(text));
}

static json_t *member_names(const struct finf_graph *graph)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < graph->n_members; i++)
		json_array_append_new(list, json_string(graph->members[i].name));
	return list;
}

static json_t *whole_interface(const struct finf_graph *graph, const char *name)
{
	return json_pack("{s:s, s:o, s:o}", "name", name, "inputs",
			 ports(graph, graph->inputs, graph->n_inputs), "outputs",
			 ports(graph, graph->outputs, graph->n_outputs));
}

static json_t *member_interface(const struct finf_graph *graph, const char *name,
				const struct finf_member *member)
{
	return json_pack(
		"{s:s++, s:o, s:o}", "name", name, "/", member->name, "inputs",
		member_ports(graph, graph->inputs, member->inputs, member->n_inputs), "outputs",
		member_ports(graph, graph->outputs, member->outputs, member->n_outputs));
}

json_t *fid_kserve_model(struct fid_core *core, const struct fid_model_info *info, uint32_t member)
{
	const struct finf_graph *graph = finf_model_graph(info->model);
	struct versions versions = {info->name, json_array()};
	json_t *doc = member == FINF_NONE
			      ? whole_interface(graph, info->name)
			      : member_interface(graph, info->name, &graph->members[member]);

	fid_core_list(core, add_version, &versions);
	json_object_set_new(doc, "versions", versions.list);
	json_object_set_new(doc, "platform", json_string("fusedinf"));
	if (member == FINF_NONE && graph->n_members)
		json_object_set_new(doc, "parameters",
				    json_pack("{s:o}", "members", member_names(graph)));
	return doc;
}

static void add_index(void *ctx, const struct fid_model_info *info)
{
	bool ready = info->state == FID_MODEL_READY;
	char version[16];

	snprintf(version, sizeof(version), "%" PRIu32, info->version);
	json_array_append_new(ctx, json_pack("{s:s, s:s, s:s, s:s}", "name", info->name, "version",
					     version, "state", ready ? "READY" : "UNAVAILABLE", "reason",
					     info->state == FID_MODEL_FAILED	 ? info->error
					     : info->state == FID_MODEL_PREPARING ? "being prepared"
										   : ""));
}

json_t *fid_kserve_index(struct fid_core *core)
{
	json_t *list = json_array();

	if (list)
		fid_core_list(core, add_index, list);
	return list;
}
