# onnx-proto.awk - onnx.proto with the fields of model-local functions that came
# after ONNX 1.12, which Debian 12 has: default values of attributes (IR 9) and
# overloads (IR 10). A file that has them comes out as it is.
/^message / { message = $2; text = "" }
{ text = text "\n" $0 }
/^}/ && message == "NodeProto" && text !~ / overload = 8;/ {
	print "  optional string overload = 8;"
}
/^}/ && message == "FunctionProto" && text !~ / attribute_proto = 11;/ {
	print "  repeated AttributeProto attribute_proto = 11;"
}
/^}/ && message == "FunctionProto" && text !~ / overload = 13;/ {
	print "  optional string overload = 13;"
}
{ print }
